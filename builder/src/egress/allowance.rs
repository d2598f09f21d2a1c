//! How much a mirror may give: one answer, and all answers of a build.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::policy::{care::Care, network::Limits};

/// What each rule gave so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<HashMap<String, Arc<AtomicU64>>>>);

/// What one answer may still bring.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    rule: String,
    body: u64,
    taken: u64,
    total: Option<u64>,
    all: Arc<AtomicU64>,
}

impl Meter {
    /// For one more answer by a rule.
    pub(crate) fn allowance(&self, care: &Care, limits: Limits) -> Allowance {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = rules.entry(care.rule.clone()).or_default().clone();
        Allowance {
            rule: care.rule.clone(),
            body: care.body.unwrap_or(limits.body),
            taken: 0,
            total: care.total.or(limits.total),
            all,
        }
    }
}

impl Allowance {
    /// Bytes of the answer's body.
    pub(crate) fn body(&self) -> u64 {
        self.body
    }

    /// Would as many bytes be too many?
    pub(crate) fn expect(&self, bytes: u64) -> Result<(), String> {
        let all = self.all.load(Ordering::Relaxed).saturating_add(bytes);
        self.judge(self.taken.saturating_add(bytes), all)
    }

    /// Takes as many bytes more, or says why they are too many.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), String> {
        self.taken = self.taken.saturating_add(bytes);
        let all = self.all.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.judge(self.taken, all)
    }

    fn judge(&self, taken: u64, all: u64) -> Result<(), String> {
        if taken > self.body {
            return Err(format!("the body is larger than {} bytes (limits.body-bytes)", self.body));
        }
        match self.total {
            Some(total) if all > total => Err(format!(
                "the rule '{}' gave this build more than {total} bytes (limits.total-bytes)",
                self.rule
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_and_all_of_a_rule_are_bounded() {
        let meter = Meter::default();
        let care = Care { rule: "a".into(), body: Some(10), total: Some(15), ..Care::default() };
        let limits = Limits::default();
        let mut one = meter.allowance(&care, limits);
        assert_eq!((one.take(4), one.take(6)), (Ok(()), Ok(())));
        let told = one.take(1).unwrap_err();
        assert_eq!(told, "the body is larger than 10 bytes (limits.body-bytes)");
        let mut two = meter.allowance(&care, limits);
        assert_eq!(two.take(4), Ok(()));
        let told = two.take(1).unwrap_err();
        assert_eq!(told, "the rule 'a' gave this build more than 15 bytes (limits.total-bytes)");
        let other = Care { rule: "b".into(), ..care };
        assert_eq!(meter.allowance(&other, limits).take(9), Ok(()));
    }
}
