//! One fetch for all who ask for the same thing at the same time. It goes into the download store as fast as the
//! upstream sends; whoever wants the body reads it from there, at its own pace.

use std::{
    collections::HashMap,
    fs::File,
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use hyper::{HeaderMap, StatusCode};
use tokio::{sync::watch, task::AbortHandle};

use crate::oci::digest::Digest;

use super::errand::Errand;

/// How far it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// The answer's head, once it came.
    pub(super) head: Option<Arc<Head>>,
    /// Bytes of the body that can be read.
    pub(super) length: u64,
    /// The end.
    pub(super) end: Option<End>,
}

/// The head of an answer, and where its body goes.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// Without those of one connection.
    pub(super) headers: HeaderMap,
    /// To be read by position.
    pub(super) file: File,
    /// The body's size, where it was announced.
    pub(super) announced: Option<u64>,
    /// Why the exchange is incomplete even when all of the body comes.
    pub(super) reason: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The body is there: its digest and size.
    Whole(Digest, u64),
    /// It is not, and why.
    Broken(String),
    /// The upstream's address is private.
    Private,
}

/// A fetch that somebody waits for; it is broken off when nobody does any more.
#[derive(Debug)]
pub(super) struct Flight {
    progress: watch::Receiver<Progress>,
    task: AbortHandle,
}

impl Flight {
    /// Waits until `ready` holds, or until the end.
    pub(super) async fn until(&self, ready: impl Fn(&Progress) -> bool) -> Progress {
        let mut progress = self.progress.clone();
        let waited = progress.wait_for(|now| now.end.is_some() || ready(now)).await;
        let now = waited.map(|now| now.clone());
        now.unwrap_or_else(|_| self.now())
    }

    /// How far it is now. One whose task is gone without an end is broken.
    fn now(&self) -> Progress {
        let mut now = self.progress.borrow().clone();
        now.end.get_or_insert(End::Broken("it was broken off".into()));
        now
    }

    /// Bytes of the body that can be read.
    pub(super) fn length(&self) -> u64 {
        self.progress.borrow().length
    }

    /// The end, once it is there.
    pub(super) fn end(&self) -> Option<End> {
        self.progress.borrow().end.clone()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All fetches that are under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<String, Weak<Flight>>>);

impl Flights {
    /// The fetch of this errand: the one that is under way, or a new one.
    pub(super) fn join(&self, errand: Errand) -> Arc<Flight> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = errand.key();
        let known = all.get(&key).and_then(Weak::upgrade);
        if let Some(flight) = known.filter(|flight| flight.end().is_none()) {
            return flight;
        }
        all.retain(|_, flight| flight.strong_count() > 0);
        let (sender, progress) = watch::channel(Progress::default());
        let task = tokio::spawn(async move {
            let end = errand.run(&sender).await;
            sender.send_modify(|now| now.end = Some(end));
        });
        let flight = Arc::new(Flight { progress, task: task.abort_handle() });
        all.insert(key, Arc::downgrade(&flight));
        flight
    }
}

/// A full disk and the like.
pub(super) fn cannot_keep(error: &io::Error) -> End {
    End::Broken(format!("it cannot be kept: {error}"))
}
