//! StageNameCasing, DuplicateStageName, ReservedStageName: how stages are called.

use std::collections::BTreeMap;

use crate::{
    dockerfile::Span,
    lint::{
        finding::{Finding, shown},
        rule::{DUPLICATE_STAGE_NAME, RESERVED_STAGE_NAME, STAGE_NAME_CASING},
        subject::View,
    },
};

/// Names that mean something else where a stage is named.
const RESERVED: [&str; 2] = ["context", "scratch"];

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    let mut earlier: BTreeMap<&str, Span> = BTreeMap::new();
    for stage in &view.file.stages {
        let (Some(name), Some(written)) = (&stage.name, &stage.written_name) else { continue };
        let text = shown(&written.text);
        if written.text != *name {
            findings.push(Finding::new(
                &STAGE_NAME_CASING,
                stage.span,
                written.span,
                format!("the stage name '{text}' has capital letters"),
                format!("write {}; stage names are compared without case", shown(name)),
            ));
        }
        if RESERVED.contains(&name.as_str()) {
            findings.push(Finding::new(
                &RESERVED_STAGE_NAME,
                stage.span,
                written.span,
                format!("'{name}' does not name a stage wherever it is used"),
                "call the stage something else",
            ));
        }
        if let Some(before) = earlier.insert(name, written.span) {
            findings.push(
                Finding::new(
                    &DUPLICATE_STAGE_NAME,
                    stage.span,
                    written.span,
                    format!("the stage name '{text}' is used twice; the last one counts"),
                    "give each stage a name of its own",
                )
                .related(before, "first used here"),
            );
        }
    }
}
