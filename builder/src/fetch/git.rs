//! One commit of a repository as files, as BuildKit checks it out: modes 0644 and 0755, submodules with it,
//! `.git` only where it is asked for. Every time stamp is the commit's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use url::Url;

use super::{
    FetchError, Fetcher, Gate,
    credentials::Credentials,
    gate::{COMMAND_LINE, Permit},
    git_program::{GitProgram, Session},
    reference::choose,
    settle::settle,
};
use crate::{
    egress::{RequestRecord, StepOrigin, UpstreamError},
    policy::network::remedy,
    remote::{GitAddress, Transport},
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct GitAsk<'a> {
    /// The repository and what of it.
    pub address: &'a GitAddress,
    /// Who decides.
    pub gate: &'a Gate,
    /// Who may log in.
    pub credentials: &'a Credentials,
}

/// The commit that an address leads to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Full commit id.
    pub commit: String,
    /// The reference that it was found by; none where the address has the commit itself.
    pub(super) reference: Option<String>,
    /// The rule that allowed it.
    pub rule: String,
    /// The URL that is really asked.
    pub fetched_url: String,
}

/// A commit as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Where its files are: the subdirectory that was asked for.
    pub dir: PathBuf,
    /// Committer time, in seconds since 1970.
    pub time: i64,
}

/// Submodules in submodules.
pub(super) const DEPTH: usize = 10;

impl Resolved {
    /// The record for provenance: the commit is the digest.
    #[must_use]
    pub fn record(&self, address: &GitAddress, origin: &StepOrigin) -> RequestRecord {
        RequestRecord {
            line: origin.clone(),
            method: "GET".into(),
            url: format!("git+{}", address.url()),
            fetched_url: format!("git+{}", self.fetched_url),
            rule: self.rule.clone(),
            status: None,
            size: 0,
            sent: 0,
            sha256: None,
            commit: Some(self.commit.clone()),
            query: None,
            complete: true,
            incomplete_reason: None,
            purl: None,
            verified_by: None,
            started: 0,
            duration: 0,
        }
    }
}

impl Fetcher {
    /// Which commit the address leads to.
    ///
    /// # Errors
    /// [`FetchError`], also when the address promises another commit.
    pub async fn resolve_git(&self, ask: &GitAsk<'_>) -> Result<Resolved, FetchError> {
        let address = ask.address;
        let url = address.url();
        let (program, session, permit) = self.session(ask).await?;
        let resolved = |commit: &str, reference: Option<&str>| Resolved {
            commit: commit.to_owned(),
            reference: reference.map(str::to_owned),
            rule: permit.rule.clone(),
            fetched_url: permit.shown.clone(),
        };
        let found = match &address.reference {
            Some(commit) if GitAddress::is_commit(commit) => resolved(commit, None),
            wanted if self.terms.offline => {
                let name = wanted.as_deref().unwrap_or("HEAD");
                let offline = || FetchError::Offline { url: format!("git+{url}") };
                resolved(&self.known_commit(&url, name).ok_or_else(offline)?, None)
            }
            wanted => {
                let name = wanted.as_deref().unwrap_or("HEAD");
                let peeled = format!("{name}^{{}}");
                let arguments = ["ls-remote", "origin", name, &peeled];
                let answer = program.run(&session, &self.scratch, &arguments).await;
                let answer = answer.map_err(|reason| FetchError::Git {
                    url: url.clone(),
                    action: "read",
                    reason,
                })?;
                let (commit, full) = choose(&answer, name, address.kind).ok_or_else(|| {
                    FetchError::NoReference { url: url.clone(), reference: name.into() }
                })?;
                self.keep_name(&url, name, &commit);
                resolved(&commit, Some(&full))
            }
        };
        match &address.commit {
            Some(expected) if !found.commit.starts_with(expected.as_str()) => {
                Err(FetchError::Commit {
                    url,
                    reference: address.reference.clone().unwrap_or_else(|| "HEAD".into()),
                    expected: expected.clone(),
                    actual: found.commit,
                })
            }
            _ => Ok(found),
        }
    }

    /// The files of a commit, below `into`, which is empty.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn checkout(
        &self,
        ask: &GitAsk<'_>,
        resolved: &Resolved,
        keep_git_dir: bool,
        into: &Path,
    ) -> Result<Checkout, FetchError> {
        let time = self.clone_into(ask, resolved, keep_git_dir, into, DEPTH).await?;
        let address = ask.address;
        let (root, subdir) = (into.to_owned(), address.subdir.clone());
        let settled = tokio::task::spawn_blocking(move || {
            settle(&root, time)?;
            directory(&root, &subdir)
        });
        let dir = settled.await.map_err(|error| FetchError::Io {
            path: into.to_owned(),
            cause: std::io::Error::other(error),
        })?;
        let missing = || FetchError::NoDirectory {
            url: address.url(),
            subdir: address.subdir.clone(),
            commit: resolved.commit.clone(),
        };
        Ok(Checkout { dir: dir.map_err(FetchError::io(into))?.ok_or_else(missing)?, time })
    }

    /// Fetches and checks out, submodules too; gives the committer's time.
    pub(super) async fn clone_into(
        &self,
        ask: &GitAsk<'_>,
        resolved: &Resolved,
        keep_git_dir: bool,
        into: &Path,
        depth: usize,
    ) -> Result<i64, FetchError> {
        let url = ask.address.url();
        let (program, session, _) = self.session(ask).await?;
        let fault = |reason| FetchError::Git { url: url.clone(), action: "fetched", reason };
        let run =
            async |arguments: &[&str]| program.run(&session, into, arguments).await.map_err(fault);
        run(&["init", "--quiet", "--initial-branch=main", "."]).await?;
        let commit = resolved.commit.as_str();
        // Whoever wants `.git` wants it as the server gives it, where there is one.
        let stored = self.terms.offline || !keep_git_dir;
        let kept = stored && self.kept_commit(&program, &session, &url, commit, into).await?;
        if !kept {
            if self.terms.offline {
                return Err(FetchError::Offline { url: format!("git+{url} at {commit}") });
            }
            self.fetch_commit(&program, &session, resolved, into).await.map_err(fault)?;
        }
        run(&["checkout", "--quiet", "--force", "--detach", commit]).await?;
        let head = run(&["rev-list", "--max-count=1", "--timestamp", commit]).await?;
        let time = head.split(' ').next().and_then(|time| time.parse().ok());
        let time = time.ok_or_else(|| fault("git told no time of the commit".into()))?;
        if !kept {
            self.keep_commit(&program, &session, (&url, resolved), into).await;
        }
        if ask.address.submodules.unwrap_or(true) {
            self.submodules(ask, &program, &session, commit, into, keep_git_dir, depth).await?;
        }
        match keep_git_dir {
            true => drop(run(&["config", "remote.origin.url", &url]).await?),
            false => {
                let git = into.join(".git");
                fs::remove_dir_all(&git).map_err(FetchError::io(git))?;
            }
        }
        Ok(time)
    }

    /// How git talks to this repository: from where, as whom, and to nobody else.
    pub(super) async fn session(
        &self,
        ask: &GitAsk<'_>,
    ) -> Result<(std::sync::Arc<GitProgram>, Session, GitPermit), FetchError> {
        let address = ask.address;
        let url = address.url();
        let program = self.git.clone().ok_or_else(|| FetchError::NoGit { url: url.clone() })?;
        let permit = self.permit_git(ask).await?;
        let mut session = Session { limit: self.limit, ..Session::default() };
        session.settings.push(("remote.origin.url".into(), permit.url.clone()));
        session.hidden.push((permit.url.clone(), permit.shown.clone()));
        let follow = if ask.gate.is_open() { "initial" } else { "false" };
        session.settings.push(("http.followRedirects".into(), follow.into()));
        if let Some(pin) = &permit.pin {
            session.settings.push(("http.curloptResolve".into(), pin.clone()));
        }
        if let Some((proxy, shown)) = &permit.proxy {
            session.hidden.push((proxy.clone(), shown.clone()));
            session.through = Some(shown.clone());
            session.settings.push(("http.proxy".into(), proxy.clone()));
        }
        let login = match permit.login.clone() {
            Some(login) => Some(login),
            None => ask.credentials.git(&address.host, address.port)?,
        };
        if let (Some(origin), Some(secret)) = (permit.origin.as_ref(), login) {
            let header = format!("Authorization: {}", secret.expose_secret());
            session.hidden.push((header.clone(), "a header".into()));
            session.settings.push((format!("http.{origin}/.extraHeader"), header));
        }
        Ok((program, session, permit))
    }

    async fn permit_git(&self, ask: &GitAsk<'_>) -> Result<GitPermit, FetchError> {
        let address = ask.address;
        if ask.gate.is_open() {
            return Ok(GitPermit {
                url: address.url_with_credentials().to_owned(),
                shown: address.url(),
                origin: address.origin(),
                rule: COMMAND_LINE.into(),
                pin: None,
                proxy: self.git_proxy(&address.url())?,
                login: None,
            });
        }
        if !matches!(address.transport, Transport::Http | Transport::Https) {
            return Err(FetchError::Refused {
                host: address.host.clone(),
                reason: "the policy knows HTTP and HTTPS only".into(),
                remedy: "name the repository by https://, with --secret id=GIT_AUTH_TOKEN where it asks for a login".into(),
            });
        }
        // The first thing that git asks a repository for.
        let text = format!("{}/info/refs", address.url_with_credentials());
        let url = Url::parse(&text).map_err(|error| FetchError::Broken {
            url: address.url(),
            reason: error.to_string(),
        })?;
        let Permit { mut target, rule } = ask.gate.permit(&url)?;
        if let Some(repository) = target.path.strip_suffix("/info/refs") {
            target.path = repository.to_owned();
        }
        let shown = target.url(None);
        let proxy = self.git_proxy(&shown)?;
        // A proxy resolves names by itself.
        let pin = match proxy {
            _ if self.terms.offline => None,
            Some(_) => None,
            None => Some(self.pin(address, &target).await?),
        };
        let login = self.upstreams()?.login(&target).cloned();
        let user = match (url.username(), url.password()) {
            ("", _) => String::new(),
            (user, None) => format!("{user}@"),
            (user, Some(password)) => format!("{user}:{password}@"),
        };
        let (scheme, rest) = shown.split_once("://").unwrap_or(("https", &shown));
        let origin_end = rest.find('/').unwrap_or(rest.len());
        Ok(GitPermit {
            url: format!("{scheme}://{user}{rest}"),
            origin: Some(format!("{scheme}://{}", &rest[..origin_end])),
            shown,
            rule,
            pin,
            proxy,
            login,
        })
    }

    /// The proxy for a repository, with its login and without.
    fn git_proxy(&self, url: &str) -> Result<Option<(String, String)>, FetchError> {
        let Ok(url) = Url::parse(url) else { return Ok(None) };
        let web = matches!(url.scheme(), "http" | "https");
        let proxy = self.upstreams()?.proxies().of_url(&url).filter(|_| web);
        Ok(proxy.map(|proxy| (proxy.url().expose_secret().to_owned(), proxy.to_string())))
    }

    /// git connects to the very addresses that were checked.
    async fn pin(
        &self,
        address: &GitAddress,
        target: &crate::policy::mirror::Target,
    ) -> Result<String, FetchError> {
        let found = self.upstreams()?.addresses(target).await.map_err(|error| match error {
            UpstreamError::Private { .. } => FetchError::Refused {
                host: address.host.clone(),
                reason: "its address is private".into(),
                remedy: format!(
                    "{}\n  upstream = \"{}://{}\"",
                    remedy(&address.host),
                    target.scheme,
                    address.host
                ),
            },
            other => FetchError::Broken { url: address.url(), reason: other.to_string() },
        })?;
        let addresses: Vec<String> = found.iter().map(|at| at.ip().to_string()).collect();
        Ok(format!("{}:{}:{}", target.host, target.port, addresses.join(",")))
    }
}

/// Where git may go.
#[derive(Clone)]
pub(super) struct GitPermit {
    /// May hold a password.
    url: String,
    shown: String,
    origin: Option<String>,
    rule: String,
    /// `host:port:address,…` for libcurl.
    pin: Option<String>,
    /// With its login, and as it is shown.
    proxy: Option<(String, String)>,
    /// What logs in with the mirror.
    login: Option<crate::secret::Secret>,
}

/// A directory of a checkout, without a link on the way; `None` when it is not there.
fn directory(root: &Path, subdir: &str) -> std::io::Result<Option<PathBuf>> {
    let mut path = root.to_owned();
    for part in subdir.split('/').filter(|part| !part.is_empty() && *part != ".") {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(path))
}
