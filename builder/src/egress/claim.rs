//! What a client asked of a fetch, to be recorded once. A client that breaks off, as npm does with its look for a newer
//! npm, got a part of something at most: that is fetched to its end, and so is known even then.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinSet, time::timeout};

use crate::{downloads::Breach, oci::digest::Digest};

use super::{
    exchange::Exchange,
    flight::{End, Flight, Head, Progress},
    step::Step,
};

/// So many bytes more are waited for when the client is gone, at most.
const MUCH: u64 = 32 << 20;
/// For so long, at most: the step's end waits for it.
const LONG: Duration = Duration::from_secs(5);

/// A request and the fetch that answers it.
pub(super) struct Claim {
    flight: Arc<Flight>,
    step: Arc<Step>,
    exchange: Option<Exchange>,
}

impl Claim {
    pub(super) fn new(flight: Arc<Flight>, exchange: Exchange, step: Arc<Step>) -> Self {
        Self { flight, step, exchange: Some(exchange) }
    }

    pub(super) fn flight(&self) -> &Flight {
        &self.flight
    }

    /// What is to be recorded, where it was not.
    pub(super) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_mut()
    }

    /// It was refused before anything went out.
    pub(super) fn forget(mut self) {
        self.exchange.take().into_iter().for_each(Exchange::forget);
    }

    /// It ended before all of it was there.
    pub(super) fn broken(&mut self, reason: &str) {
        self.exchange.take().into_iter().for_each(|exchange| exchange.broken(reason.into()));
    }

    /// All of it is there: is it what it has to be? Said once.
    pub(super) fn whole(&mut self, head: &Head, digest: Digest, size: u64) -> Result<(), Breach> {
        let Some(mut exchange) = self.exchange.take() else { return Ok(()) };
        let status = head.status.as_u16();
        exchange.answered(status);
        match exchange.held_to(self.step.terms(), status, digest) {
            Ok(()) => exchange.whole(size, Some(digest), head.reason.clone()),
            Err(breach) => {
                exchange.broken("it was refused".into());
                self.step.recorder().breach(breach.clone());
                return Err(breach);
            }
        }
        Ok(())
    }

    fn ended(mut self, progress: Option<Progress>) {
        let ends = progress.and_then(|now| Some((now.head?, now.end?)));
        match ends {
            // Nobody is left who could be told of a breach; it is recorded.
            Some((head, End::Whole(digest, size))) => drop(self.whole(&head, digest, size)),
            _ => self.broken("the step broke off"),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.take() else { return };
        self.step.abandoned().wait(self.flight.clone(), exchange, self.step.clone());
    }
}

/// The claims of a step whose clients are gone.
#[derive(Debug, Default)]
pub(super) struct Abandoned(Mutex<JoinSet<()>>);

impl Abandoned {
    /// Waits for the end of what was claimed, unless that is too much or takes too long.
    fn wait(&self, flight: Arc<Flight>, exchange: Exchange, step: Arc<Step>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let fetched = async move {
            let most = flight.length().saturating_add(MUCH);
            let now = timeout(LONG, flight.until(|now| now.length > most)).await;
            Claim::new(flight, exchange, step).ended(now.ok());
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        all.spawn_on(fetched, &runtime);
    }

    /// All of them are recorded.
    pub(super) async fn recorded(&self) {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while all.join_next().await.is_some() {}
    }
}
