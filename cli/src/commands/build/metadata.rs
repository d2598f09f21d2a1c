//! `--metadata-file`: the result for programs, under the keys that docker gives it (docs/metadata.md).

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use time::{OffsetDateTime, macros::format_description};
use touchmark_builder::{
    export::{outputs::Outputs, product::Product},
    oci::digest::Digest,
    trace::{
        span::{Outcome, Span, Trace},
        step_times::{StepTime, step_times},
    },
};

use crate::{config, error::CliError};

/// How much of the provenance stands in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    None,
    Min,
    Max,
}

/// The document about `product` and the build; without an image there is only the latter.
pub(super) fn document(
    product: Option<&Product>,
    outputs: &Outputs,
    trace: Option<&Trace>,
) -> Result<String, CliError> {
    let fault = |error: serde_json::Error| CliError::failed(error.to_string());
    let detail = detail()?;
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| drop(document.insert(key.into(), value));
    for one in product.iter().flat_map(|product| product.release.images()) {
        let Some(provenance) = &one.provenance else { continue };
        let provenance = serde_json::to_value(provenance).map_err(fault)?;
        let key = match product.is_some_and(|product| product.release.index().is_some()) {
            true => format!("buildx.build.provenance/{}", one.platform),
            false => "buildx.build.provenance".into(),
        };
        match detail {
            Detail::None => {}
            Detail::Min => put(&key, shortened(provenance)),
            Detail::Max => put(&key, provenance),
        }
    }
    if let Some(product) = product {
        if let Some(digest) = config_digest(product) {
            put("containerimage.config.digest", digest.to_string().into());
        }
        let descriptor = product.release.descriptor();
        put("containerimage.descriptor", serde_json::to_value(descriptor).map_err(fault)?);
        put("containerimage.digest", descriptor.digest.to_string().into());
        let mut names: Vec<String> = Vec::new();
        for name in outputs.all_names() {
            let full = name.tagged(name.tag().unwrap_or("latest")).to_string();
            if !names.contains(&full) {
                names.push(full);
            }
        }
        if !names.is_empty() {
            put("image.name", names.join(",").into());
        }
    }
    if let Some(trace) = trace {
        put("touchmark.build.steps", step_times(trace).iter().map(step).collect());
        put("touchmark.build.started", moment(trace.began).into());
        let whole = trace.spans.first().map(Span::duration).unwrap_or_default();
        put("touchmark.build.duration", milliseconds(whole).into());
    }
    serde_json::to_string_pretty(&document).map_err(fault)
}

/// The configuration's digest, where there is one image and not one per platform.
pub(super) fn config_digest(product: &Product) -> Option<Digest> {
    product.release.image().map(|one| Digest::of(&one.image.config))
}

/// What `BUILDX_METADATA_PROVENANCE` says.
fn detail() -> Result<Detail, CliError> {
    Ok(match config::text_variable("BUILDX_METADATA_PROVENANCE")?.as_deref() {
        None | Some("min" | "true" | "1") => Detail::Min,
        Some("max") => Detail::Max,
        Some("disabled" | "false" | "0") => Detail::None,
        Some(other) => {
            let shown = crate::ui::text::harmless(other);
            return Err(CliError::usage(format!(
                "BUILDX_METADATA_PROVENANCE is '{shown}', which is no amount of provenance"
            ))
            .hint("set it to min, max or disabled, or unset it"));
        }
    })
}

/// A step's times.
fn step(step: &StepTime) -> Value {
    json!({
        "name": step.name,
        "stage": step.stage,
        "line": step.line,
        "started": moment(step.started),
        "duration": milliseconds(step.duration),
        "waited": milliseconds(step.waited),
        "cached": step.outcome == Outcome::Cached,
    })
}

/// RFC 3339 in UTC, with microseconds.
fn moment(time: SystemTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    OffsetDateTime::from(time).format(form).unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// What was asked for and who built it, without everything that went in.
fn shortened(mut provenance: Value) -> Value {
    if let Some(definition) = provenance["buildDefinition"].as_object_mut() {
        definition.retain(|key, _| matches!(key.as_str(), "buildType" | "externalParameters"));
    }
    if let Some(details) = provenance["runDetails"].as_object_mut() {
        details.retain(|key, _| key == "builder");
    }
    provenance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_to_the_microsecond() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_042);
        assert_eq!(moment(time), "2023-11-14T22:13:20.000042Z");
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
    }

    #[test]
    fn the_short_form_keeps_what_was_asked_for() {
        let full = json!({
            "buildDefinition": {
                "buildType": "t",
                "externalParameters": {"a": 1},
                "internalParameters": {},
                "resolvedDependencies": [],
            },
            "runDetails": {"builder": {"id": "b"}, "metadata": {}, "byproducts": []},
        });
        assert_eq!(
            shortened(full),
            json!({
                "buildDefinition": {"buildType": "t", "externalParameters": {"a": 1}},
                "runDetails": {"builder": {"id": "b"}},
            })
        );
    }
}
