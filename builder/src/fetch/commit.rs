//! The objects of a commit: from the server, and from then on out of the download store, as one pack. git computes the id
//! of each object in a pack anew, so a pack is as good as the commit's id.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    FetchError, Fetcher,
    git::Resolved,
    git_program::{GitProgram, Session},
};
use crate::{
    downloads::{DownloadStore, StoredAnswer, git_commit, git_name},
    remote::GitAddress,
};

impl Fetcher {
    /// The commit alone where the server gives it, else the history of all branches and tags.
    pub(super) async fn fetch_commit(
        &self,
        program: &GitProgram,
        session: &Session,
        resolved: &Resolved,
        into: &Path,
    ) -> Result<(), String> {
        let commit = resolved.commit.as_str();
        let object = format!("{commit}^{{commit}}");
        let present =
            async || program.run(session, into, &["cat-file", "-e", &object]).await.is_ok();
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        let wanted = [commit].into_iter().chain(resolved.reference.as_deref());
        for what in wanted {
            let shallow = [&fetch[..], &["--depth=1", "origin", what]].concat();
            if program.run(session, into, &shallow).await.is_ok() && present().await {
                return Ok(());
            }
        }
        let all = ["origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
        program.run(session, into, &[&fetch[..], &all].concat()).await?;
        match present().await {
            true => Ok(()),
            false => Err(format!("it has no commit {commit} on any branch or tag")),
        }
    }

    /// Puts the commit into the new repository at `into`, where the store has it.
    pub(super) async fn kept_commit(
        &self,
        program: &GitProgram,
        session: &Session,
        url: &str,
        commit: &str,
        into: &Path,
    ) -> Result<bool, FetchError> {
        let Some(store) = self.downloads.clone() else { return Ok(false) };
        let kept = store.answers(&git_commit(commit), &format!("git+{url}"));
        let Some(kept) = kept.into_iter().next() else { return Ok(false) };
        let packs = into.join(".git/objects/pack");
        let pack = packs.join(format!("pack-{}.pack", kept.digest.hex()));
        let copied = pack.clone();
        let copy = tokio::task::spawn_blocking(move || -> Result<(), FetchError> {
            fs::create_dir_all(&packs).map_err(FetchError::io(&packs))?;
            let mut file = File::create(&copied).map_err(FetchError::io(&copied))?;
            let mut body = store.body(kept.digest, kept.size)?;
            io::copy(&mut body, &mut file).map(drop).map_err(FetchError::io(&copied))
        });
        copy.await.map_err(|error| FetchError::io(&pack)(io::Error::other(error)))??;
        // What lies before it is in no pack of a commit alone.
        let shallow = into.join(".git/shallow");
        fs::write(&shallow, format!("{commit}\n")).map_err(FetchError::io(&shallow))?;
        let pack = pack.display().to_string();
        let fault = |reason| FetchError::Git {
            url: url.to_owned(),
            action: "taken from the store",
            reason,
        };
        program.run(session, into, &["index-pack", &pack]).await.map_err(fault)?;
        let object = format!("{commit}^{{commit}}");
        program.run(session, into, &["cat-file", "-e", &object]).await.map_err(fault)?;
        Ok(true)
    }

    /// Keeps the commit that is checked out at `into`. One that cannot be kept is fetched again.
    pub(super) async fn keep_commit(
        &self,
        program: &GitProgram,
        session: &Session,
        (url, resolved): (&str, &Resolved),
        into: &Path,
    ) {
        let Some(store) = self.downloads.clone() else { return };
        let objects = into.join(".git/objects");
        let mut pack = only_pack(&objects);
        if pack.is_none() {
            let repack = ["repack", "-a", "-d", "-q"];
            let packed = program.run(session, into, &repack).await;
            pack = packed.ok().and_then(|_| only_pack(&objects));
        }
        let Some(pack) = pack else { return };
        let (method, url) = (git_commit(&resolved.commit), format!("git+{url}"));
        let from = format!("git+{}", resolved.fetched_url);
        let kept = tokio::task::spawn_blocking(move || {
            File::open(pack).and_then(|mut pack| keep(&store, &mut pack, method, url, from))
        });
        drop(kept.await);
    }

    /// Keeps which commit a name led to.
    pub(super) fn keep_name(&self, url: &str, name: &str, commit: &str) {
        let Some(store) = &self.downloads else { return };
        let url = format!("git+{url}");
        drop(keep(store, &mut commit.as_bytes(), git_name(name), url.clone(), url));
    }

    /// The commit that is pinned for the repository where it is one, else the one that the name led to last.
    pub(super) fn known_commit(&self, url: &str, name: &str) -> Option<String> {
        let url = format!("git+{url}");
        let pins = self.terms.lock.as_ref().and_then(|lock| lock.files.get(&url));
        let pins = pins.into_iter().flatten().filter_map(|file| file.commit.clone());
        let pins: BTreeSet<String> = pins.collect();
        if let (1, Some(commit)) = (pins.len(), pins.first()) {
            return Some(commit.clone());
        }
        let store = self.downloads.as_ref()?;
        let read = |kept: StoredAnswer| {
            let mut commit = String::new();
            let body = store.body(kept.digest, kept.size).ok()?;
            body.take(64).read_to_string(&mut commit).ok()?;
            Some(commit).filter(|commit| GitAddress::is_commit(commit))
        };
        let known = store.answers(&git_name(name), &url).into_iter().filter_map(read);
        known.into_iter().find(|commit| pins.is_empty() || pins.contains(commit))
    }
}

fn keep(
    store: &DownloadStore,
    body: &mut dyn io::Read,
    method: String,
    url: String,
    fetched_url: String,
) -> io::Result<()> {
    let mut writer = store.writer().map_err(io::Error::other)?;
    io::copy(body, &mut writer)?;
    writer.flush()?;
    let (digest, size) = writer.commit(None).map_err(io::Error::other)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    store.keep(StoredAnswer {
        method,
        url,
        fetched_url,
        variant: BTreeMap::new(),
        status: 200,
        headers: Vec::new(),
        digest,
        size,
        checked: now.map_or(0, |time| time.as_secs()),
    });
    Ok(())
}

/// The pack of a repository that has one, and nothing beside it.
fn only_pack(objects: &Path) -> Option<PathBuf> {
    let names = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    // Loose objects are in directories with two digits.
    let loose = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 2);
    if names(objects).iter().any(loose) {
        return None;
    }
    let mut packs = names(&objects.join("pack"));
    packs.retain(|path| path.extension().is_some_and(|kind| kind == "pack"));
    packs.pop().filter(|_| packs.is_empty())
}
