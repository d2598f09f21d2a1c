//! What answers a step: keys of this process, or the user's own agent behind a filter.

use std::path::PathBuf;

use tokio::net::UnixStream;

use super::{
    key::AgentKey,
    wire::{self, FAILURE, LIST, LISTED, SIGN, SIGNED},
};

/// Where signatures come from.
#[derive(Debug)]
pub enum SshAgent {
    /// The agent that listens at this socket.
    Socket(PathBuf),
    /// Keys that were read from files.
    Keys(Vec<AgentKey>),
}

impl SshAgent {
    /// Answers one connection of a step until either side closes it. Only requests to list and to sign are
    /// served; everything else fails, whatever stands behind.
    pub(super) async fn serve(&self, mut step: UnixStream) {
        let mut upstream = None;
        while let Ok(Some(request)) = wire::read(&mut step).await {
            let answer = match (request.first(), self) {
                (Some(&(LIST | SIGN)), Self::Socket(path)) => {
                    let asked = ask(&mut upstream, path, &request).await;
                    asked.unwrap_or_else(|| vec![FAILURE])
                }
                (Some(_), Self::Keys(keys)) => {
                    answer(keys, &request).unwrap_or_else(|| vec![FAILURE])
                }
                _ => vec![FAILURE],
            };
            if wire::write(&mut step, &answer).await.is_err() {
                return;
            }
        }
    }
}

/// The answer of the agent at `path`, over a connection that is kept for the next request.
async fn ask(kept: &mut Option<UnixStream>, path: &PathBuf, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => UnixStream::connect(path).await.ok()?,
    };
    wire::write(&mut stream, request).await.ok()?;
    let answer = wire::read(&mut stream).await.ok()??;
    *kept = Some(stream);
    Some(answer)
}

/// What keys answer: a list without comments, which often name the user and the machine, or a signature.
fn answer(keys: &[AgentKey], request: &[u8]) -> Option<Vec<u8>> {
    let (kind, mut rest) = request.split_first()?;
    let mut answer = Vec::new();
    match *kind {
        LIST => {
            answer.push(LISTED);
            answer.extend(u32::try_from(keys.len()).ok()?.to_be_bytes());
            for key in keys {
                wire::put_string(&mut answer, &key.public_blob());
                wire::put_string(&mut answer, b"");
            }
        }
        SIGN => {
            let blob = wire::take_string(&mut rest)?;
            let data = wire::take_string(&mut rest)?;
            let flags = wire::take_u32(&mut rest)?;
            let key = keys.iter().find(|key| key.public_blob() == blob)?;
            answer.push(SIGNED);
            wire::put_string(&mut answer, &key.sign(data, flags)?);
        }
        _ => return None,
    }
    Some(answer)
}
