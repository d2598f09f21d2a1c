//! Messages of the agent protocol: a length, a type, contents; and the data types in them (RFC 4251,
//! section 5).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// SSH_AGENT_FAILURE: the answer to everything that is not served.
pub const FAILURE: u8 = 5;
/// SSH_AGENTC_REQUEST_IDENTITIES.
pub const LIST: u8 = 11;
/// SSH_AGENT_IDENTITIES_ANSWER.
pub const LISTED: u8 = 12;
/// SSH_AGENTC_SIGN_REQUEST.
pub const SIGN: u8 = 13;
/// SSH_AGENT_SIGN_RESPONSE.
pub const SIGNED: u8 = 14;

/// A longer message is none; OpenSSH's own limit, in bytes.
const MAX_MESSAGE: usize = 256 * 1024;

/// Reads one message, type first, without its length; none at the end of the stream.
///
/// # Errors
/// When the stream breaks off inside a message, or a message is empty or too long.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if let Err(error) = stream.read_exact(&mut length).await {
        let end = error.kind() == io::ErrorKind::UnexpectedEof;
        return if end { Ok(None) } else { Err(error) };
    }
    let length = u32::from_be_bytes(length) as usize;
    if length == 0 || length > MAX_MESSAGE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a message of an SSH agent"));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

/// Writes one message.
///
/// # Errors
/// When the stream does not take it.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    stream.write_all(&framed(message)).await
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(message.len() + 4);
    put_string(&mut framed, message);
    framed
}

/// Appends a `string`: its length in four bytes, its bytes.
pub fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend(bytes);
}

/// Appends an `mpint` that is not negative: no leading zeros, but one where the first bit is set.
pub fn put_mpint(to: &mut Vec<u8>, big_endian: &[u8]) {
    let first = big_endian.iter().position(|byte| *byte != 0).unwrap_or(big_endian.len());
    let bytes = big_endian.get(first..).unwrap_or_default();
    let mut number = Vec::with_capacity(bytes.len() + 1);
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        number.push(0);
    }
    number.extend(bytes);
    put_string(to, &number);
}

/// Takes a `string` off the front.
#[must_use]
pub fn take_string<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_u32(from)? as usize;
    let (string, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(string)
}

/// Takes a `uint32` off the front.
#[must_use]
pub fn take_u32(from: &mut &[u8]) -> Option<u32> {
    let (number, rest) = from.split_first_chunk::<4>()?;
    *from = rest;
    Some(u32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_rfc_4251_shows() {
        for (bytes, written) in [
            (&[][..], &[0, 0, 0, 0][..]),
            (&[0, 0], &[0, 0, 0, 0]),
            (&[0, 0x7f], &[0, 0, 0, 1, 0x7f]),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
        ] {
            let mut to = Vec::new();
            put_mpint(&mut to, bytes);
            assert_eq!(to, written);
        }
    }

    #[test]
    fn a_string_that_is_cut_is_none() {
        let mut to = Vec::new();
        put_string(&mut to, b"abc");
        assert_eq!(take_string(&mut &to[..]), Some(&b"abc"[..]));
        for end in 0..to.len() {
            assert_eq!(take_string(&mut &to[..end]), None);
        }
    }

    #[tokio::test]
    async fn a_message_is_bounded() {
        let mut whole: &[u8] = &[0, 0, 0, 2, LIST, 7];
        assert_eq!(read(&mut whole).await.unwrap(), Some(vec![LIST, 7]));
        assert_eq!(read(&mut whole).await.unwrap(), None);
        for bad in [&[0, 0, 0, 0][..], &[0xff, 0, 0, 0, 1], &[0, 0, 0, 2, 1]] {
            let mut bad = bad;
            assert!(read(&mut bad).await.is_err());
        }
    }
}
