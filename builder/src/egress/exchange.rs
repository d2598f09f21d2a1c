//! One request on its way to becoming a record.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    downloads::{Breach, Terms},
    oci::digest::Digest,
    purl::of_download,
};

use super::{
    query::Query,
    record::{Recorder, RequestRecord},
};

/// Writes exactly one record, also when it is dropped half-way.
#[derive(Debug)]
pub(super) struct Exchange {
    recorder: Arc<Recorder>,
    number: u64,
    began: Instant,
    record: Option<RequestRecord>,
    sent: Arc<AtomicU64>,
}

impl Exchange {
    pub(super) fn begin(
        recorder: &Arc<Recorder>,
        method: &str,
        url: String,
        fetched_url: String,
        rule: String,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let record = RequestRecord {
            line: recorder.origin().clone(),
            method: method.to_owned(),
            purl: of_download(&url),
            verified_by: None,
            url,
            fetched_url,
            rule,
            status: None,
            size: 0,
            sent: 0,
            sha256: None,
            commit: None,
            query: None,
            complete: false,
            incomplete_reason: Some("it was broken off".into()),
            started: now.map_or(0, |time| time.as_secs()),
            duration: 0,
        };
        let (recorder, number) = (recorder.clone(), recorder.begin());
        let sent = Arc::default();
        Self { recorder, number, began: Instant::now(), record: Some(record), sent }
    }

    /// Counts the bytes that the step sends.
    pub(super) fn sent(&self) -> Arc<AtomicU64> {
        self.sent.clone()
    }

    /// It asks this.
    pub(super) fn asks(&mut self, query: &Query) {
        self.sent.store(query.body().len() as u64, Ordering::Relaxed);
        if let Some(record) = &mut self.record {
            record.query = Some(query.digest());
            record.commit = query.commits().map(str::to_owned);
        }
    }

    /// Is this answer as the build's terms want it? Answers to questions are pinned by their commit, or not at all.
    pub(super) fn held_to(&self, terms: &Terms, status: u16, digest: Digest) -> Result<(), Breach> {
        match &self.record {
            Some(record) if record.query.is_none() => terms.check_file(&record.url, status, digest),
            Some(RequestRecord { url, commit: Some(commit), .. }) => {
                terms.check_commit(url, commit)
            }
            _ => Ok(()),
        }
    }

    /// The response's status is known.
    pub(super) fn answered(&mut self, status: u16) {
        if let Some(record) = &mut self.record {
            record.status = Some(status);
        }
    }

    /// Bytes that went to the step so far.
    pub(super) fn received(&mut self, size: u64) {
        if let Some(record) = &mut self.record {
            record.size = size;
        }
    }

    /// The whole body went through: `reason` says why the exchange is incomplete even so.
    pub(super) fn whole(mut self, size: u64, digest: Option<Digest>, reason: Option<String>) {
        if let Some(record) = &mut self.record {
            record.size = size;
            record.sha256 = digest;
            record.complete = reason.is_none();
            record.incomplete_reason = reason;
        }
    }

    /// It was refused before anything went out; the refusal is recorded instead.
    pub(super) fn forget(mut self) {
        self.record = None;
    }

    /// It ended before the body was through.
    pub(super) fn broken(mut self, reason: String) {
        if let Some(record) = &mut self.record {
            record.incomplete_reason = Some(reason);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.sent = self.sent.load(Ordering::Relaxed);
            let elapsed = self.began.elapsed().as_millis();
            record.duration = u64::try_from(elapsed).unwrap_or(u64::MAX);
            self.recorder.request(self.number, record);
        }
    }
}
