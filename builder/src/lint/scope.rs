//! The variables at an instruction, and the few other things that later instructions depend on.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::subject::View;
use crate::{
    dockerfile::{
        Instruction, Kind,
        expansion::{Expanded, Variables},
        instruction::Argument,
    },
    oci::config::{DEFAULT_PATH, ImageConfig},
};

/// What a stage has set so far. A copy costs little until it is changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    values: Rc<BTreeMap<String, String>>,
    /// The declared ARGs, also those without a value.
    pub(super) declared: Rc<BTreeSet<String>>,
    /// Is the base's environment unknown, so that a variable may be set by it?
    pub(super) open: bool,
    /// Has this file set a working directory?
    pub(super) has_workdir: bool,
    /// Has SHELL been given?
    pub(super) has_shell: bool,
}

impl Variables for Scope {
    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

impl Scope {
    /// The beginning of a stage on this base; `known` says that a missing configuration is an empty one.
    pub(super) fn of(config: Option<&ImageConfig>, known: bool) -> Self {
        let mut values: BTreeMap<String, String> = [("PATH".into(), DEFAULT_PATH.into())].into();
        let pairs = config.iter().flat_map(|config| &config.config.env);
        for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
            values.insert(name.into(), value.into());
        }
        Self {
            values: Rc::new(values),
            open: !known && config.is_none(),
            has_shell: config.is_some_and(|config| !config.config.shell.is_empty()),
            ..Self::default()
        }
    }

    /// The names that are set, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Declares an argument; `view` knows the values that are given. The variables of its default that are
    /// not set come back.
    pub(super) fn declare(&mut self, argument: &Argument, view: &View<'_>) -> BTreeSet<String> {
        let mut unset = BTreeSet::new();
        let given = view.options.build_args.get(&argument.name).cloned().flatten();
        let value = match (given, &argument.default) {
            (Some(given), _) => Some(given),
            (None, Some(default)) => {
                let expanded = view.expander().expand(default, self).unwrap_or_default();
                unset = expanded.unset;
                Some(expanded.text)
            }
            (None, None) => view.survey.global.get(&argument.name).cloned(),
        };
        if let Some(value) = value {
            Rc::make_mut(&mut self.values).insert(argument.name.clone(), value);
        }
        if !self.declared.contains(&argument.name) {
            Rc::make_mut(&mut self.declared).insert(argument.name.clone());
        }
        unset
    }

    /// What the instruction changes.
    pub(super) fn apply(&mut self, instruction: &Instruction, view: &View<'_>) {
        match &instruction.kind {
            Kind::Arg(arguments) => {
                for argument in arguments {
                    self.declare(argument, view);
                }
            }
            Kind::Env(pairs) => {
                let expand = |text: &str| -> Expanded {
                    view.expander().expand(text, self).unwrap_or_default()
                };
                let set: Vec<_> = pairs
                    .iter()
                    .map(|pair| (expand(&pair.name).text, expand(&pair.value).text))
                    .collect();
                Rc::make_mut(&mut self.values).extend(set);
            }
            Kind::Workdir(_) => self.has_workdir = true,
            Kind::Shell(_) => self.has_shell = true,
            _ => {}
        }
    }
}
