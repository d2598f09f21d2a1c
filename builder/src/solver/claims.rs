//! Steps of one build with the same cache key: one runs, the others take its result. Two stages on the same
//! base that begin alike are such steps, also where they do not look alike in the Dockerfile.
//!
//! A step claims its key when it has its slot and nothing else yet, and claims one at a time, so nobody
//! waits for a claim who holds what its owner needs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use super::step_result::StepResult;
use crate::oci::digest::Digest;

/// The keys of a build's steps.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<Option<StepResult>>>>>);

/// The right to produce the result of a key, given back when it is dropped.
pub(super) type Claim = OwnedMutexGuard<Option<StepResult>>;

impl Claims {
    /// Waits until no other step works on `key`. What an earlier step of this build made is in the claim.
    pub(super) async fn claim(&self, key: &Digest) -> Claim {
        let place = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            places.entry(*key).or_default().clone()
        };
        place.lock_owned().await
    }
}

/// The claim of the step that is running; none before it knows its key.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Option<(Digest, Claim)>>);

impl Held {
    /// Takes the place of another key's claim, which is given back.
    pub(super) fn hold(&self, claim: Option<(Digest, Claim)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = claim;
    }

    /// Leaves the result for those who wait for `key`, if that is the one that was claimed.
    pub(super) fn fulfil(&self, key: &Digest, result: &StepResult) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, claim)) = held.as_mut().filter(|(claimed, _)| claimed == key) {
            **claim = Some(result.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_second_step_waits_and_finds_the_result_of_the_first() {
        let (claims, held) = (Claims::default(), Held::default());
        let key = Digest::of(b"step");
        let first = claims.claim(&key).await;
        assert_eq!(*first, None);
        held.hold(Some((key, first)));
        assert!(timeout(Duration::from_millis(20), claims.claim(&key)).await.is_err());
        let other = timeout(Duration::from_secs(5), claims.claim(&Digest::of(b"other"))).await;
        assert!(other.is_ok(), "another key is free");
        let result = StepResult { layer: Some(key), ..StepResult::default() };
        held.fulfil(&Digest::of(b"other"), &StepResult::default());
        held.fulfil(&key, &result);
        held.hold(None);
        assert_eq!(*claims.claim(&key).await, Some(result));
    }

    #[tokio::test]
    async fn a_step_that_failed_leaves_its_key_to_the_next() {
        let claims = Claims::default();
        let key = Digest::of(b"step");
        {
            let held = Held::default();
            held.hold(Some((key, claims.claim(&key).await)));
        }
        assert_eq!(*claims.claim(&key).await, None);
    }
}
