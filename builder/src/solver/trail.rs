//! What a build came by: the keys of its steps with their results, whether they ran or were answered from
//! a cache. A shared cache is written from it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::step_result::StepResult;
use crate::oci::digest::Digest;

/// Notes keys and results while a build runs.
#[derive(Debug, Default)]
pub struct Trail(Mutex<Passed>);

/// Keys and results.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// The steps by cache key.
    pub steps: BTreeMap<Digest, PassedStep>,
    /// Digests of files in stages, by the key under which a COPY looks for them.
    pub trees: BTreeMap<Digest, Digest>,
}

/// A step that is done.
#[derive(Debug, Clone)]
pub struct PassedStep {
    /// What came out.
    pub result: StepResult,
    /// The file system after it, as a stack of layers, lowest first.
    pub layers: Vec<Digest>,
}

impl Trail {
    pub(super) fn step(&self, key: &Digest, result: &StepResult, layers: &[Digest]) {
        let step = PassedStep { result: result.clone(), layers: layers.to_vec() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).steps.entry(*key).or_insert(step);
    }

    pub(super) fn tree(&self, key: &Digest, content: Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).trees.insert(*key, content);
    }

    /// What was noted so far.
    #[must_use]
    pub fn passed(&self) -> Passed {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
