//! RedundantTargetPlatform, FromPlatformFlagConstDisallowed: `FROM --platform`.

use crate::{
    lint::{
        finding::{Finding, shown},
        rule::{FROM_PLATFORM_FLAG_CONST_DISALLOWED, REDUNDANT_TARGET_PLATFORM},
        subject::View,
    },
    oci::platform::Platform,
};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let global = &view.survey.global;
    let target = global.get("TARGETPLATFORM").map(String::as_str).unwrap_or_default();
    for (stage, surveyed) in view.file.stages.iter().zip(&view.survey.stages) {
        let Some(written) = &stage.platform else { continue };
        let Ok(expanded) = view.expander().expand(&written.text, global) else { continue };
        let text = shown(&written.text);
        if is_variable(&written.text, "TARGETPLATFORM") && expanded.text == target {
            findings.push(Finding::new(
                &REDUNDANT_TARGET_PLATFORM,
                stage.span,
                written.span,
                format!("--platform={text} is the default"),
                "leave it out",
            ));
        }
        if !written.text.contains('$') && !is_named_after(stage.name.as_deref(), &surveyed.platform)
        {
            findings.push(Finding::new(
                &FROM_PLATFORM_FLAG_CONST_DISALLOWED,
                stage.span,
                written.span,
                format!("--platform={text} is the same for every platform that is built"),
                "use $BUILDPLATFORM, leave it out, or name the stage after the platform",
            ));
        }
    }
}

/// `$name`, `${name}`, or `${name` with a modifier, alone.
fn is_variable(text: &str, name: &str) -> bool {
    let Some(rest) = text.strip_prefix('$') else { return false };
    let inner = match rest.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').unwrap_or_default(),
        None => return rest == name,
    };
    inner.strip_prefix(name).is_some_and(|rest| {
        !rest.contains('$') && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// A stage that is called after its platform says what it is.
fn is_named_after(stage: Option<&str>, platform: &Platform) -> bool {
    stage.is_some_and(|name| name.contains(&platform.os) || name.contains(&platform.architecture))
}
