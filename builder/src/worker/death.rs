//! The worker's end, as those who work on it notice it: nothing else tells a step that it works for nothing.

use std::{io, time::Duration};

use super::{ProcessIdentity, Worker};

/// How long it may stay unnoticed.
const LOOK: Duration = Duration::from_millis(250);

/// Waits for the end of a worker. Clones wait for the same.
#[derive(Debug, Clone)]
pub struct Death(ProcessIdentity);

impl Death {
    /// Of this worker.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn of(worker: &Worker) -> io::Result<Self> {
        ProcessIdentity::of(worker.pid()).map(Self)
    }

    /// Comes back soon after it has ended.
    pub async fn comes(&self) {
        while self.0.is_alive() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
