//! When to try again, and after how long.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::error::RegistryError;

/// How often a request is made, and how long is waited in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; 1 is "no retry".
    pub attempts: u32,
    /// Wait before the second attempt; it doubles with each further one.
    pub first_wait: Duration,
    /// No wait is longer, also when the registry asks for more with `Retry-After`.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let (first_wait, longest_wait) = (Duration::from_millis(500), Duration::from_secs(30));
        Self { attempts: 5, first_wait, longest_wait }
    }
}

/// A failed attempt: why, and whether another one makes sense.
#[derive(Debug)]
pub(super) struct Failure {
    error: Box<RegistryError>,
    again: Again,
}

/// Does another attempt make sense?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// No: it would end the same way.
    Never,
    /// Yes, after the usual wait.
    Soon,
    /// Yes, and the registry says how long to wait.
    After(Duration),
}

impl<E: Into<RegistryError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.into(), Again::Never)
    }
}

impl Failure {
    pub(super) fn new(error: RegistryError, again: Again) -> Self {
        Self { error: Box::new(error), again }
    }

    pub(super) fn soon(error: RegistryError) -> Self {
        Self::new(error, Again::Soon)
    }
}

/// The attempts made at one thing.
#[derive(Debug)]
pub(super) struct Attempts {
    policy: RetryPolicy,
    made: u32,
}

impl Attempts {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, made: 0 }
    }

    /// Something was achieved: later failures are counted from here.
    pub(super) fn reset(&mut self) {
        self.made = 0;
    }

    /// Waits before the next attempt, or gives the error back when there is to be none.
    pub(super) async fn again(&mut self, failure: Failure) -> Result<(), RegistryError> {
        self.made += 1;
        let wait = match failure.again {
            Again::Never => return Err(*failure.error),
            Again::Soon => self.backoff(),
            Again::After(asked) => asked.min(self.policy.longest_wait).max(self.backoff() / 8),
        };
        if self.made >= self.policy.attempts {
            return Err(failure.error.after(self.made));
        }
        tracing::debug!(attempt = self.made, ?wait, "trying again: {}", failure.error);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Doubles each time; between half and all of it, so that many clients do not come back at once.
    fn backoff(&self) -> Duration {
        let doubled = self.policy.first_wait * 2_u32.saturating_pow(self.made.clamp(1, 16) - 1);
        jitter(doubled.min(self.policy.longest_wait))
    }
}

/// A random duration between half of `full` and `full`.
pub(super) fn jitter(full: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    full.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date that is compared with the answer's own `Date`,
/// so that our clock plays no part.
pub(super) fn retry_after(headers: &HeaderMap) -> Again {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(value) = text(RETRY_AFTER) else { return Again::Soon };
    if let Ok(seconds) = value.trim().parse() {
        return Again::After(Duration::from_secs(seconds));
    }
    let date = |text: &str| OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok();
    match (date(value), text(reqwest::header::DATE).and_then(date)) {
        (Some(then), Some(now)) => Again::After((then - now).try_into().unwrap_or(Duration::ZERO)),
        _ => Again::Soon,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = |n| Again::After(Duration::from_secs(n));
        assert_eq!(retry_after(&headers(&[])), Again::Soon);
        assert_eq!(retry_after(&headers(&[("retry-after", "7")])), seconds(7));
        assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), Again::Soon);
        let date = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
        let later = ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT");
        let earlier = ("retry-after", "Wed, 21 Oct 2015 07:27:30 GMT");
        assert_eq!(retry_after(&headers(&[date, later])), seconds(30));
        assert_eq!(retry_after(&headers(&[date, earlier])), seconds(0));
        assert_eq!(retry_after(&headers(&[later])), Again::Soon);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_vary() {
        let policy = RetryPolicy {
            attempts: 9,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_millis(350),
        };
        for (made, low, high) in [(1, 50, 100), (2, 100, 200), (3, 175, 350), (99, 175, 350)] {
            let wait = Attempts { policy, made }.backoff().as_millis();
            assert!((low..=high).contains(&wait), "{made}: {wait}");
        }
    }
}
