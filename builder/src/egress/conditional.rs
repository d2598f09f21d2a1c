//! What a client's own conditions and ranges come to, when the whole answer is known (RFC 9110, sections 13 and 14).

use std::ops::Range;

use hyper::{
    HeaderMap, StatusCode,
    header::{
        ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
        IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
    },
};
use time::{PrimitiveDateTime, format_description::BorrowedFormatItem};

/// The headers by which a client asks for less than everything. Upstreams do not see them.
const LESS: [HeaderName; 6] =
    [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Portion {
    /// All of it, with the status that it has.
    Whole,
    /// 304: it has it already.
    NotModified,
    /// 412: it wanted another one.
    Failed,
    /// 206: these bytes.
    Part(Range<u64>),
    /// 416: there are no such bytes.
    Beyond,
}

/// The request's headers without those that ask for less.
pub(super) fn unconditional(request: &HeaderMap) -> HeaderMap {
    let mut headers = request.clone();
    for name in LESS {
        headers.remove(name);
    }
    headers
}

/// What of an answer with `status`, these headers and `size` bytes the client gets.
pub(super) fn portion(
    request: &HeaderMap,
    status: StatusCode,
    answer: &HeaderMap,
    size: u64,
) -> Portion {
    if status != StatusCode::OK {
        return Portion::Whole;
    }
    let text = |headers: &HeaderMap, name: HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let etag = text(answer, ETAG);
    let modified = text(answer, LAST_MODIFIED);
    // Section 13.2.2 gives the order.
    if let Some(wanted) = text(request, IF_MATCH) {
        if !lists(&wanted, etag.as_deref(), true) {
            return Portion::Failed;
        }
    } else if let (Some(since), Some(modified)) = (text(request, IF_UNMODIFIED_SINCE), &modified)
        && let (Some(since), Some(modified)) = (seconds(&since), seconds(modified))
        && modified > since
    {
        return Portion::Failed;
    }
    if let Some(known) = text(request, IF_NONE_MATCH) {
        if lists(&known, etag.as_deref(), false) {
            return Portion::NotModified;
        }
    } else if let (Some(since), Some(modified)) = (text(request, IF_MODIFIED_SINCE), &modified)
        && let (Some(since), Some(modified)) = (seconds(&since), seconds(modified))
        && modified <= since
    {
        return Portion::NotModified;
    }
    let Some(range) = text(request, RANGE) else { return Portion::Whole };
    let is_current = text(request, IF_RANGE).is_none_or(|wanted| match wanted.contains('"') {
        true => lists(&wanted, etag.as_deref(), true),
        false => modified.as_deref() == Some(wanted.trim()),
    });
    if is_current { part(&range, size) } else { Portion::Whole }
}

/// Is `etag` in a list of entity tags? A strong comparison takes no weak ones (section 8.8.3.2).
fn lists(list: &str, etag: Option<&str>, strong: bool) -> bool {
    let Some(etag) = etag else { return false };
    if list.trim() == "*" {
        return true;
    }
    let opaque = |tag: &str| tag.trim().strip_prefix("W/").unwrap_or(tag.trim()).to_owned();
    let is_weak = |tag: &str| tag.trim().starts_with("W/");
    if strong && is_weak(etag) {
        return false;
    }
    list.split(',').any(|tag| opaque(tag) == opaque(etag) && !(strong && is_weak(tag)))
}

/// One range of bytes. Several at once are answered whole, as section 14.2 lets a server do.
fn part(range: &str, size: u64) -> Portion {
    let Some(("bytes", spec)) =
        range.split_once('=').map(|(unit, spec)| (unit.trim(), spec.trim()))
    else {
        return Portion::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else { return Portion::Whole };
    let number = |text: &str| text.trim().parse::<u64>();
    let range = match (number(first), number(last)) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(count)) if first.trim().is_empty() => size.saturating_sub(count)..size,
        // Also a list of ranges ends here.
        _ => return Portion::Whole,
    };
    if range.start >= range.end { Portion::Beyond } else { Portion::Part(range) }
}

/// RFC 9110, section 5.6.7: the one form that is sent today.
const IMF_FIXDATE: &[BorrowedFormatItem<'static>] = time::macros::format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

fn seconds(text: &str) -> Option<i64> {
    let time = PrimitiveDateTime::parse(text.trim(), IMF_FIXDATE).ok()?;
    Some(time.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn asked(pairs: &[(HeaderName, &str)]) -> Portion {
        let map = |pairs: &[(HeaderName, &str)]| {
            let pair = |(name, value): &(HeaderName, &str)| {
                (name.clone(), HeaderValue::from_str(value).unwrap())
            };
            pairs.iter().map(pair).collect::<HeaderMap>()
        };
        let date = "Fri, 13 Feb 2009 23:31:30 GMT";
        let answer = map(&[(ETAG, "\"a\""), (LAST_MODIFIED, date)]);
        portion(&map(pairs), StatusCode::OK, &answer, 10)
    }

    #[test]
    fn not_modified_is_said_only_when_it_is_true() {
        let later = "Fri, 13 Feb 2009 23:31:31 GMT";
        let earlier = "Fri, 13 Feb 2009 23:31:29 GMT";
        for (headers, expected) in [
            (vec![(IF_NONE_MATCH, "\"b\", W/\"a\"")], Portion::NotModified),
            (vec![(IF_NONE_MATCH, "*")], Portion::NotModified),
            (vec![(IF_NONE_MATCH, "\"b\"")], Portion::Whole),
            (vec![(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, later)], Portion::Whole),
            (vec![(IF_MODIFIED_SINCE, later)], Portion::NotModified),
            (vec![(IF_MODIFIED_SINCE, earlier)], Portion::Whole),
            (vec![(IF_MODIFIED_SINCE, "long ago")], Portion::Whole),
            (vec![(IF_MATCH, "\"b\"")], Portion::Failed),
            (vec![(IF_UNMODIFIED_SINCE, earlier)], Portion::Failed),
            (vec![(IF_UNMODIFIED_SINCE, later)], Portion::Whole),
        ] {
            assert_eq!(asked(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn one_range_is_cut_out_and_anything_else_is_whole() {
        for (range, expected) in [
            ("bytes=0-3", Portion::Part(0..4)),
            ("bytes=4-", Portion::Part(4..10)),
            ("bytes=-3", Portion::Part(7..10)),
            ("bytes=-30", Portion::Part(0..10)),
            ("bytes=8-99", Portion::Part(8..10)),
            ("bytes=10-", Portion::Beyond),
            ("bytes=-0", Portion::Beyond),
            ("bytes=3-1", Portion::Whole),
            ("bytes=0-1,3-4", Portion::Whole),
            ("lines=1-2", Portion::Whole),
            ("bytes=18446744073709551615-18446744073709551615", Portion::Beyond),
        ] {
            assert_eq!(asked(&[(RANGE, range)]), expected, "{range}");
        }
        let at = |tag| asked(&[(RANGE, "bytes=0-3"), (IF_RANGE, tag)]);
        assert_eq!(at("\"a\""), Portion::Part(0..4));
        assert_eq!(at("\"b\""), Portion::Whole);
        assert_eq!(at("W/\"a\""), Portion::Whole);
        assert_eq!(at("Fri, 13 Feb 2009 23:31:30 GMT"), Portion::Part(0..4));
    }
}
