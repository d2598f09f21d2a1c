//! The namespaces of the next step, made while the one before runs: the kernel takes its time for them.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinHandle;

use super::namespace::{NamespaceError, Namespaces};

/// One pair of namespaces at most. What no step takes goes with this value, or with the process.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Steps that have not asked yet; those that the cache answers never will.
    steps: AtomicUsize,
    /// Ports of the policy's tunnels.
    tunnels: Arc<[u16]>,
    ready: Mutex<Option<JoinHandle<Result<Namespaces, NamespaceError>>>>,
}

impl Ahead {
    /// For steps that find tunnels at these ports.
    pub(super) fn new(tunnels: Arc<[u16]>) -> Self {
        let (steps, ready) = (AtomicUsize::default(), Mutex::default());
        Self { steps, tunnels, ready }
    }

    pub(super) fn expect(&self, steps: usize) {
        self.steps.fetch_add(steps, Ordering::Relaxed);
    }

    /// What was made ahead, or else new ones; meanwhile those of the next step are begun.
    pub(super) async fn take(&self) -> Result<Namespaces, NamespaceError> {
        let ahead = {
            let less = |steps: usize| steps.checked_sub(1);
            let more = self.steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            let ahead = ready.take();
            *ready = more
                .is_ok_and(|steps| steps > 1)
                .then(|| tokio::spawn(Namespaces::open(self.tunnels.clone())));
            ahead
        };
        match ahead {
            // What failed ahead of time may work now, or fails again and says why.
            Some(ahead) => match ahead.await {
                Ok(Ok(ready)) => Ok(ready),
                _ => Namespaces::open(self.tunnels.clone()).await,
            },
            None => Namespaces::open(self.tunnels.clone()).await,
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let ready = self.ready.get_mut().unwrap_or_else(PoisonError::into_inner);
        ready.iter().for_each(JoinHandle::abort);
    }
}
