//! Variables of a scope, and the arguments of the global one.

use std::collections::BTreeMap;

use super::options::BuildOptions;
use crate::dockerfile::{
    Diagnostic, Dockerfile, Kind,
    expansion::{Expander, Variables},
};

/// Variables with an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    values: BTreeMap<String, (usize, String)>,
    next: usize,
}

impl Environment {
    /// Sets a variable and makes it the last one.
    pub(super) fn set_last(&mut self, name: &str, value: &str) {
        self.values.insert(name.into(), (self.next, value.into()));
        self.next += 1;
    }

    /// Sets a variable; one that is there keeps its place.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        match self.values.get_mut(name) {
            Some((_, old)) => *old = value.into(),
            None => self.set_last(name, value),
        }
    }

    /// The variables in order.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<_> = self.values.iter().collect();
        pairs.sort_by_key(|(_, (order, _))| *order);
        pairs.into_iter().map(|(name, (_, value))| (name.clone(), value.clone())).collect()
    }

    /// The names, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

impl Variables for Environment {
    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(_, value)| value.as_str())
    }
}

/// The variables of the global scope: platforms and target, then the ARGs before the first FROM.
/// Build arguments override both; those that do are added to `used`.
pub(super) fn global(
    file: &Dockerfile,
    options: &BuildOptions,
    used: &mut BTreeMap<String, String>,
    faults: &mut Vec<Diagnostic>,
) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in automatic(file, options) {
        environment.set(&name, options.build_arg(&name).unwrap_or(&value));
    }
    let expander = Expander::new(file.directives.escape);
    for instruction in &file.global {
        let Kind::Arg(arguments) = &instruction.kind else { continue };
        for argument in arguments {
            if let Some(value) = options.build_arg(&argument.name) {
                used.insert(argument.name.clone(), value.into());
                environment.set(&argument.name, value);
            } else if let Some(default) = &argument.default {
                match expander.expand(default, &environment) {
                    Ok(value) => environment.set(&argument.name, &value.text),
                    Err(error) => faults
                        .push(Diagnostic::new(argument.span, error.to_string()).help(error.help())),
                }
            }
        }
    }
    environment
}

/// `BUILDPLATFORM`, `TARGETPLATFORM` and so on (Dockerfile reference, "Automatic platform ARGs").
fn automatic(file: &Dockerfile, options: &BuildOptions) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (prefix, platform) in [("BUILD", &options.build_platform), ("TARGET", &options.platform)] {
        let variant = platform.variant.clone().unwrap_or_default();
        for (name, value) in [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("OSVERSION", String::new()),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", variant),
        ] {
            all.push((format!("{prefix}{name}"), value));
        }
    }
    let last = file.stages.last().and_then(|stage| stage.name.clone());
    let target = options.target.clone().or(last).unwrap_or_else(|| "default".into());
    all.push(("TARGETSTAGE".into(), target));
    all
}
