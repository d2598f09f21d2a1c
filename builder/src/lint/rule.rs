//! The rules by name.

/// When a rule is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of BuildKit's, always.
    Standard,
    /// One of BuildKit's that it calls experimental: only where `check=experimental=` names it, or all.
    Experimental,
    /// One of ours that finds a certain fault, always.
    Own,
    /// One of ours that gives advice: only in strict mode, or where `check=experimental=` names it.
    Advice,
}

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, as `check=skip=` takes it.
    pub name: &'static str,
    /// What it wants, in one line.
    pub summary: &'static str,
    /// When it is looked at.
    pub kind: Kind,
    /// Its page: name, why, a bad and a good example.
    pub page: &'static str,
}

/// Declares each rule as a constant with its page of docs/rules, and all of them as [`RULES`].
macro_rules! rules {
    ($($constant:ident $name:literal $kind:ident $summary:literal)*) => {
        $(
            #[doc = $summary]
            pub static $constant: Rule = Rule {
                name: $name,
                summary: $summary,
                kind: Kind::$kind,
                page: include_str!(concat!("../../../docs/rules/", $name, ".md")),
            };
        )*
        /// All rules: BuildKit's in its order, then ours.
        pub static RULES: &[&Rule] = &[$(&$constant),*];
    };
}

rules! {
    STAGE_NAME_CASING "StageNameCasing" Standard
        "stage names are written in lower case"
    FROM_AS_CASING "FromAsCasing" Standard
        "AS is written in the case of its FROM"
    NO_EMPTY_CONTINUATION "NoEmptyContinuation" Standard
        "no blank line stands inside an instruction"
    CONSISTENT_INSTRUCTION_CASING "ConsistentInstructionCasing" Standard
        "all instructions are written in the same case"
    DUPLICATE_STAGE_NAME "DuplicateStageName" Standard
        "each stage has a name of its own"
    RESERVED_STAGE_NAME "ReservedStageName" Standard
        "no stage is called scratch or context"
    JSON_ARGS_RECOMMENDED "JSONArgsRecommended" Standard
        "CMD and ENTRYPOINT are JSON arrays, so that signals reach the program"
    MAINTAINER_DEPRECATED "MaintainerDeprecated" Standard
        "the author is named by a label, not by MAINTAINER"
    UNDEFINED_ARG_IN_FROM "UndefinedArgInFrom" Standard
        "FROM uses only arguments that are declared before it"
    WORKDIR_RELATIVE_PATH "WorkdirRelativePath" Standard
        "the first WORKDIR of an image is an absolute path"
    UNDEFINED_VAR "UndefinedVar" Standard
        "only variables that are set are used"
    MULTIPLE_INSTRUCTIONS_DISALLOWED "MultipleInstructionsDisallowed" Standard
        "a stage has one CMD, one ENTRYPOINT and one HEALTHCHECK at most"
    LEGACY_KEY_VALUE_FORMAT "LegacyKeyValueFormat" Standard
        "ENV and LABEL are written with an equals sign"
    REDUNDANT_TARGET_PLATFORM "RedundantTargetPlatform" Standard
        "--platform=$TARGETPLATFORM is left out, because it is the default"
    SECRETS_USED_IN_ARG_OR_ENV "SecretsUsedInArgOrEnv" Standard
        "secrets are mounted, not given by ARG or ENV"
    INVALID_DEFAULT_ARG_IN_FROM "InvalidDefaultArgInFrom" Standard
        "FROM names an image also when no build argument is given"
    FROM_PLATFORM_FLAG_CONST_DISALLOWED "FromPlatformFlagConstDisallowed" Standard
        "FROM --platform is a variable, not a fixed platform"
    COPY_IGNORED_FILE "CopyIgnoredFile" Experimental
        "no file is copied that the ignore file hides"
    INVALID_DEFINITION_DESCRIPTION "InvalidDefinitionDescription" Experimental
        "the comment before a stage or an argument begins with its name"
    EXPOSE_PROTO_CASING "ExposeProtoCasing" Standard
        "the protocol of EXPOSE is written in lower case"
    EXPOSE_INVALID_FORMAT "ExposeInvalidFormat" Standard
        "EXPOSE names a port of the container and nothing of the host"
    INVALID_BASE_IMAGE_PLATFORM "InvalidBaseImagePlatform" Standard
        "a base image is for the platform that it is used for"
    MALFORMED_JSON_ARRAY "MalformedJSONArray" Own
        "what looks like a JSON array is one"
    SECRET_VALUE "SecretValue" Own
        "no private key and no token stands in the Dockerfile"
    SECRET_FILE "SecretFile" Own
        "no file that holds secrets is copied into a layer"
    UNPINNED_BASE "UnpinnedBase" Advice
        "base images are named by digest"
    ROOT_USER "RootUser" Advice
        "the image runs as a user other than root"
    SHELL_FORM_HARDENED "ShellFormHardened" Advice
        "what the hardened image starts needs no shell"
}

impl Rule {
    /// The rule of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.name == name).copied()
    }
}
