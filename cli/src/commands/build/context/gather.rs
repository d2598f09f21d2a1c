//! Brings a context that is elsewhere to a directory of this machine: out of standard input, out of a
//! repository, over HTTP. Nothing of it is asked of the policy: the user named it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use touchmark_builder::{
    content::{hold::Hold, index::Index, store::ContentStore},
    downloads::{DownloadStore, Terms},
    egress::{StepOrigin, WayOut},
    fetch::{
        FetchError, Fetcher, Gate,
        credentials::Credentials,
        git::GitAsk,
        http::{HttpAsk, file_name},
    },
    oci::{
        descriptor::Descriptor,
        digest::{Digest, Hashing},
    },
    policy::NetworkPolicy,
    provenance::FetchedInput,
    remote::{GitAddress, Url, without_password},
    secret::SecretBytes,
    snapshot::OWNER_SHIFT,
    source::{
        archive::{begins_archive, unpack_file},
        git::GitState,
    },
};

use super::asked::{Asked, ContextAsk, FileAsk};
use crate::{config::Config, error::CliError, ui::printer::Printer, workspace::Workspace};

/// What was brought here.
#[derive(Debug, Default)]
pub(in super::super) struct Gathered {
    /// The root of the context; none where it is the directory that was named.
    pub(super) context: Option<PathBuf>,
    /// Do its files keep the archive's owners?
    pub(super) owners: bool,
    /// A Dockerfile that is in no directory, with its name.
    pub(super) dockerfile: Option<(String, Vec<u8>)>,
    /// The commit of a repository.
    pub(super) git: Option<GitState>,
    /// Everything that was fetched, for provenance.
    pub(super) fetched: Vec<FetchedInput>,
}

/// A larger Dockerfile is none, in bytes.
const MAX_TEXT: u64 = 16 * 1024 * 1024;

/// What it takes to gather.
struct Gatherer<'a> {
    fetcher: Fetcher,
    credentials: Credentials,
    workspace: &'a Workspace,
    gathered: Gathered,
}

/// Reads and fetches what `asked` names.
pub(in super::super) async fn gather(
    asked: &Asked,
    secrets: &Arc<BTreeMap<String, SecretBytes>>,
    (keep_git_dir, offline): (bool, bool),
    workspace: &Workspace,
    config: &Config,
    printer: &Printer,
) -> Result<Gathered, CliError> {
    if !asked.is_remote() {
        return Ok(Gathered::default());
    }
    let content = ContentStore::open(config.data_dir.join("content"));
    let content = content.map_err(|error| CliError::environment(error.to_string()))?;
    let hold = Hold::open(&config.data_dir.join("in-use"));
    let hold = hold.map_err(|error| CliError::environment(error.to_string()))?;
    let content = content.holding(Arc::new(hold));
    let content = Arc::new(content);
    let index = Arc::new(Index::open(&config.data_dir.join("index")));
    let downloads = DownloadStore::new(content.clone(), index);
    let way = WayOut { proxies: config.proxies.clone(), ..WayOut::default() };
    let fetcher = fetcher(&NetworkPolicy::default(), content, workspace, config, way);
    let fetcher = fetcher.keeping(downloads, Terms { offline, lock: None });
    let credentials = Credentials::new(secrets.clone());
    let mut gatherer = Gatherer { fetcher, credentials, workspace, gathered: Gathered::default() };
    match &asked.context {
        ContextAsk::Directory(_) => {}
        ContextAsk::Stdin => gatherer.stdin()?,
        ContextAsk::Git(address) => {
            printer.talk(&format!("=> fetching {}", address.url()));
            gatherer.git(address, keep_git_dir).await?;
        }
        ContextAsk::Http(url) => {
            printer.talk(&format!("=> fetching {}", without_password(url.as_str())));
            gatherer.http(url).await?;
        }
    }
    gatherer.file(&asked.file).await?;
    Ok(gatherer.gathered)
}

/// What fetches, for this build.
pub(in super::super) fn fetcher(
    policy: &NetworkPolicy,
    content: Arc<ContentStore>,
    workspace: &Workspace,
    config: &Config,
    way: WayOut,
) -> Fetcher {
    Fetcher::new(policy, content, config.git(), workspace.path().to_owned(), way)
}

impl Gatherer<'_> {
    fn stdin(&mut self) -> Result<(), CliError> {
        let path = self.workspace.path().join("stdin");
        let fault =
            |error: io::Error| CliError::usage(format!("standard input cannot be read: {error}"));
        let spooled = File::create(&path).map_err(fault)?;
        let limit = NetworkPolicy::default().limits().body;
        let mut hashing = Hashing::new(spooled);
        let mut input = io::stdin().lock().take(limit + 1);
        let size = io::copy(&mut input, &mut hashing).map_err(fault)?;
        let (_, digest, _) = hashing.finish();
        if size == 0 {
            return Err(CliError::usage("standard input is empty")
                .hint("send a tar archive or a Dockerfile: touchmark build - < context.tar"));
        }
        if size > limit {
            return Err(CliError::usage(format!("standard input has more than {limit} bytes")));
        }
        self.context("standard input", &path, "")?;
        self.input("context archive", String::new(), digest);
        Ok(())
    }

    async fn git(&mut self, address: &GitAddress, keep: bool) -> Result<(), CliError> {
        let ask = GitAsk { address, gate: &Gate::CommandLine, credentials: &self.credentials };
        let into = self.workspace.directory("context")?;
        let keep = keep || address.keep_git_dir.unwrap_or(false);
        let resolved = self.fetcher.resolve_git(&ask).await.map_err(fetch_fault)?;
        let checkout = self.fetcher.checkout(&ask, &resolved, keep, &into).await;
        let checkout = checkout.map_err(fetch_fault)?;
        self.gathered.context = Some(checkout.dir);
        self.gathered.git = Some(GitState {
            commit: resolved.commit,
            time: checkout.time,
            dirty: false,
            remote: Some(address.url()),
            subdir: address.subdir.clone(),
            fetched: true,
        });
        Ok(())
    }

    async fn http(&mut self, url: &Url) -> Result<(), CliError> {
        let (path, digest) = self.download(url, "download").await?;
        // BuildKit's name for a file that is a context of its own.
        self.context(&without_password(url.as_str()), &path, "context")?;
        self.input("context archive", without_password(url.as_str()), digest);
        Ok(())
    }

    /// The file of a URL, in the workspace.
    async fn download(&self, url: &Url, name: &str) -> Result<(PathBuf, Digest), CliError> {
        let ask = HttpAsk {
            url,
            checksum: None,
            gate: &Gate::CommandLine,
            credentials: &self.credentials,
            origin: StepOrigin { line: 0, text: String::new(), stage: String::new() },
        };
        let file = self.fetcher.http(&ask).await.map_err(fetch_fault)?;
        let path = self.workspace.path().join(name);
        let blob = Descriptor::new("application/octet-stream", file.digest, file.size);
        let blob = self.fetcher.content().open_verified(&blob);
        let mut blob = blob.map_err(|error| CliError::environment(error.to_string()))?;
        File::create(&path)
            .and_then(|mut out| io::copy(&mut blob, &mut out))
            .map_err(|error| CliError::environment(format!("{}: {error}", path.display())))?;
        Ok((path, file.digest))
    }

    /// An archive becomes the context; a text becomes the Dockerfile of an otherwise empty one, in which it
    /// is a file of the name `kept`.
    fn context(&mut self, name: &str, path: &Path, kept: &str) -> Result<(), CliError> {
        let fault = |error: io::Error| CliError::environment(format!("{name}: {error}"));
        let into = self.workspace.directory("context")?;
        fs::set_permissions(&into, fs::Permissions::from_mode(0o755)).map_err(fault)?;
        self.gathered.context = Some(into.clone());
        let mut file = File::open(path).map_err(fault)?;
        if begins_archive(&mut file).map_err(fault)? {
            self.gathered.owners = true;
            let unpacked = unpack_file(path, name, &into, OWNER_SHIFT);
            return unpacked.map(drop).map_err(super::super::source_error);
        }
        let neither = || {
            CliError::usage(format!("{name} is neither a tar archive nor a Dockerfile"))
                .hint("an archive may be plain or compressed with gzip, bzip2, xz or zstd")
        };
        let mut bytes = Vec::new();
        file.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(fault)?;
        let text = bytes.len() as u64 <= MAX_TEXT && !bytes.contains(&0);
        if !text || std::str::from_utf8(&bytes).is_err() {
            return Err(neither());
        }
        if !kept.is_empty() {
            let mut file = File::create(into.join(kept)).map_err(fault)?;
            file.write_all(&bytes).map_err(fault)?;
            file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(fault)?;
        }
        let shown = if kept.is_empty() { "stdin" } else { kept };
        self.gathered.dockerfile = Some((shown.into(), bytes));
        Ok(())
    }

    async fn file(&mut self, file: &FileAsk) -> Result<(), CliError> {
        let (name, bytes) = match file {
            FileAsk::Usual => return Ok(()),
            _ if self.gathered.dockerfile.is_some() => {
                return Err(CliError::usage(
                    "the context is a Dockerfile itself, and --file names another one",
                )
                .hint("leave out --file, or send an archive"));
            }
            FileAsk::Path(_) => return Ok(()),
            FileAsk::Stdin => {
                let mut bytes = Vec::new();
                let read = io::stdin().lock().take(MAX_TEXT + 1).read_to_end(&mut bytes);
                read.map_err(|error| {
                    CliError::usage(format!("standard input cannot be read: {error}"))
                })?;
                ("stdin".to_owned(), bytes)
            }
            FileAsk::Url(url) => {
                let (path, digest) = self.download(url, "dockerfile").await?;
                self.input("dockerfile", without_password(url.as_str()), digest);
                let bytes = crate::config::read_file(&path, MAX_TEXT);
                let bytes = bytes.map_err(|error| CliError::usage(format!("{url}: {error}")))?;
                (file_name(url), bytes)
            }
        };
        self.gathered.dockerfile = Some((name, bytes));
        Ok(())
    }

    fn input(&mut self, name: &str, uri: String, digest: Digest) {
        self.gathered.fetched.push(FetchedInput { name: name.into(), uri, digest });
    }
}

fn fetch_fault(error: FetchError) -> CliError {
    let text = error.to_string();
    let (first, hint) = text.split_once("\nhelp: ").unwrap_or((&text, ""));
    let shown = CliError::failed(format!("the build context: {first}"));
    if hint.is_empty() { shown } else { shown.hint(hint) }
}
