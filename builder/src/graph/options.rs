//! What the caller wants to have built, and what it knows about the base images.

use std::collections::BTreeMap;

use super::operation::NetworkMode;
use crate::{
    dockerfile::Span,
    oci::{config::ImageConfig, platform::Platform, reference::Reference},
};

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// `--target`: a stage's name in any case; `None` is the last stage.
    pub target: Option<String>,
    /// `--build-arg`. A key without a value is one that the environment does not have; it counts as not
    /// given.
    pub build_args: BTreeMap<String, Option<String>>,
    /// The platform to build for.
    pub platform: Platform,
    /// Did the user ask for [`Self::platform`]? If so it is written into the image's configuration, else
    /// the base image's stays.
    pub platform_given: bool,
    /// Is it one of several? Then each step says for which one it is.
    pub several_platforms: bool,
    /// The platform that builds.
    pub build_platform: Platform,
    /// `--build-context`: what the names stand for, as the user wrote them.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// `--label`
    pub labels: BTreeMap<String, String>,
    /// `--network`: what a step gets that does not ask for anything else.
    pub network: NetworkMode,
}

impl BuildOptions {
    /// Everything by default, for one platform that also builds.
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        Self {
            target: None,
            build_args: BTreeMap::new(),
            build_platform: platform.clone(),
            platform,
            platform_given: false,
            several_platforms: false,
            named_contexts: BTreeMap::new(),
            labels: BTreeMap::new(),
            network: NetworkMode::Default,
        }
    }

    /// The value of `--build-arg name`, when it has one.
    pub(super) fn build_arg(&self, name: &str) -> Option<&str> {
        self.build_args.get(name).and_then(Option::as_deref)
    }

    /// The named context that stands for this name or image: equal but for case, or the same image.
    pub(super) fn named_context(&self, name: &str) -> Option<(&String, &NamedContext)> {
        if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
            return None;
        }
        let image = |text: &str| text.parse::<Reference>().ok().map(tagged);
        let wanted = image(name);
        let same = |(context, _): &(&String, &NamedContext)| {
            context.eq_ignore_ascii_case(name) || wanted.is_some() && image(context) == wanted
        };
        self.named_contexts.iter().find(same)
    }
}

/// What a name of `--build-context` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// Files: a directory, a repository, an archive.
    Files,
    /// An image, with its configuration.
    Image(Reference),
    /// The empty file system.
    Scratch,
}

/// With `latest` where there is neither tag nor digest.
pub(super) fn tagged(reference: Reference) -> Reference {
    match (reference.tag(), reference.digest()) {
        (None, None) => reference.tagged("latest"),
        _ => reference,
    }
}

/// An image that the target needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// The image; it has a tag or a digest.
    pub reference: Reference,
    /// For which platform.
    pub platform: Platform,
    /// The first place that names it.
    pub span: Span,
    /// Is it the base of a stage, so that [`super::lower`] needs its configuration? The others are only
    /// copied from.
    pub is_base: bool,
}

/// The configurations of base images by reference and platform, both as displayed.
pub type BaseConfigs = BTreeMap<(String, String), ImageConfig>;

/// The proxy variables, in capitals.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Is it a build argument that reaches RUN without being declared (Dockerfile reference, "Predefined
/// ARGs")? In capitals or not.
#[must_use]
pub fn is_proxy(argument: &str) -> bool {
    PROXIES.contains(&argument.to_ascii_uppercase().as_str())
}
