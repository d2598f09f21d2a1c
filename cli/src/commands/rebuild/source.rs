//! Where the files are that an image was built from: the directory that was given, else the commit that the provenance
//! names, out of the work tree here or out of its repository.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;
use touchmark_attest::{
    predicate::slsa::{CLEAN, CONTEXT, Provenance},
    resource_descriptor::ResourceDescriptor,
};
use touchmark_builder::{
    downloads::{DownloadStore, Terms},
    egress::{Logins, WayOut},
    fetch::{
        FetchError, Fetcher, Gate,
        credentials::Credentials,
        git::{Checkout, GitAsk},
    },
    oci::digest::Digest,
    policy::NetworkPolicy,
    remote::GitAddress,
    source::git,
};

use super::RebuildArgs;
use crate::{
    commands::build,
    config::{self, Config},
    error::CliError,
    runtime,
    ui::{printer::Printer, text::harmless},
};

/// The files, which stay as long as the value does.
pub(super) struct Source {
    pub(super) dir: PathBuf,
    /// The commit, where it was fetched for this.
    commit: Option<Commit>,
}

struct Commit {
    uri: String,
    id: String,
    subdir: String,
    _room: TempDir,
}

impl Source {
    /// Finds them.
    pub(super) fn find(
        args: &RebuildArgs,
        provenance: &Provenance,
        (config, policy): (&Config, &NetworkPolicy),
        store: &DownloadStore,
        printer: &Printer,
    ) -> Result<Self, CliError> {
        let at = |dir: &Path| Self { dir: dir.to_owned(), commit: None };
        if let Some(dir) = &args.context {
            return Ok(at(dir));
        }
        let here = Path::new(".");
        let Some((uri, id, subdir)) = recorded(provenance) else { return Ok(at(here)) };
        let work_tree = config.find_program("git").and_then(|git| git::inspect(&git, here));
        if work_tree.is_some_and(|found| found.commit == id && found.subdir == subdir) {
            return Ok(at(here));
        }
        let shown = harmless(&uri);
        printer.talk(&format!("=> fetching {shown} at {id}"));
        let fault = |error: &dyn std::fmt::Display| {
            CliError::failed(format!("the source {shown} cannot be had: {error}")).hint(
                "or give a directory with the commit that was built: touchmark rebuild IMAGE CONTEXT",
            )
        };
        let address = GitAddress::recorded(&uri, &id, &subdir).map_err(|error| fault(&error))?;
        let room = tempfile::tempdir().map_err(|error| CliError::environment(error.to_string()))?;
        let fetched = fetch(args, (config, policy), store, &address, room.path());
        let fetched = runtime::block_on(fetched)?.map_err(|error| fault(&error))?;
        let commit = Commit { uri, id, subdir, _room: room };
        Ok(Self { dir: fetched.dir, commit: Some(commit) })
    }

    /// Is the Dockerfile the recorded one?
    pub(super) fn dockerfile(&self, provenance: &Provenance) -> Result<(), CliError> {
        let parameters = &provenance.build_definition.external_parameters;
        let Some(recorded) = parameters.get("dockerfile") else { return Ok(()) };
        let (Some(path), Some(digest)) =
            (recorded["path"].as_str(), recorded["digest"]["sha256"].as_str())
        else {
            return Ok(());
        };
        let file = self.dir.join(path);
        let unreadable = |reason: String| {
            CliError::usage(format!("{} cannot be read: {reason}", file.display())).hint(
                "give the directory that the image was built from: touchmark rebuild IMAGE CONTEXT",
            )
        };
        // A link in a repository may lead anywhere.
        let inside =
            |file: PathBuf| fs::canonicalize(&self.dir).is_ok_and(|dir| file.starts_with(dir));
        if self.commit.is_some() && !fs::canonicalize(&file).is_ok_and(inside) {
            return Err(unreadable("it is not in the repository".into()));
        }
        let bytes = config::read_file(&file, 16 << 20).map_err(unreadable)?;
        if Digest::of(&bytes).hex() != digest {
            let message = format!("{} is not the one that was built", file.display());
            return Err(
                CliError::failed(message).hint("check out the commit that the provenance names")
            );
        }
        Ok(())
    }

    /// Says in the account of a build from these files where they are from: the build saw a directory.
    pub(super) fn note(&self, provenance: &mut Provenance) {
        let Some(commit) = &self.commit else { return };
        let inputs = &mut provenance.build_definition.resolved_dependencies;
        for context in inputs.iter_mut().filter(|one| one.name == CONTEXT) {
            context.uri.clone_from(&commit.uri);
            // It was a commit when it was fetched.
            let _ = context.digest.insert("gitCommit", &commit.id);
            context.annotations.insert(CLEAN.into(), true.into());
            if !commit.subdir.is_empty() {
                context.annotations.insert("subdirectory".into(), commit.subdir.clone().into());
            }
        }
    }
}

/// The repository, the commit and the directory in it, where the files were those of a commit.
fn recorded(provenance: &Provenance) -> Option<(String, String, String)> {
    let inputs = &provenance.build_definition.resolved_dependencies;
    let context = inputs.iter().find(|one| one.name == CONTEXT)?;
    let note = |key: &str| context.annotations.get(key);
    let clean = note(CLEAN).is_some_and(|clean| clean == true);
    let is_git = |one: &&ResourceDescriptor| clean && one.uri.starts_with("git+");
    let id = Some(context).filter(is_git)?.digest.get("gitCommit")?;
    let subdir = note("subdirectory").and_then(|subdir| subdir.as_str()).unwrap_or_default();
    Some((context.uri.clone(), id.to_owned(), subdir.to_owned()))
}

/// The commit below `room`, as the policy allows: an image names the address, and not the user.
async fn fetch(
    args: &RebuildArgs,
    (config, policy): (&Config, &NetworkPolicy),
    store: &DownloadStore,
    address: &GitAddress,
    room: &Path,
) -> Result<Checkout, FetchError> {
    let secrets = build::read_secrets(&args.secret);
    // A secret that cannot be read is told by the build.
    let secrets: Arc<BTreeMap<_, _>> = Arc::new(secrets.unwrap_or_default());
    let logins = Logins::find(policy, &secrets).unwrap_or_default();
    let way = WayOut { proxies: config.proxies.clone(), logins };
    let content = store.content().clone();
    let fetcher = Fetcher::new(policy, content, config.git(), room.to_owned(), way)
        .keeping(store.clone(), Terms::default());
    let gate = Gate::Policy(Arc::new(policy.clone()));
    let credentials = Credentials::new(secrets);
    let ask = GitAsk { address, gate: &gate, credentials: &credentials };
    let resolved = fetcher.resolve_git(&ask).await?;
    let into = room.join("context");
    fs::create_dir(&into).map_err(|cause| FetchError::Io { path: into.clone(), cause })?;
    let keep = address.keep_git_dir.unwrap_or(false);
    fetcher.checkout(&ask, &resolved, keep, &into).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_files_of_a_commit_are_fetched() {
        let commit = "ab".repeat(20);
        let read = |clean: bool, uri: &str| {
            let provenance = json!({
                "buildDefinition": {"buildType": "t", "externalParameters": {}, "resolvedDependencies": [
                    {"name": "context", "uri": uri, "digest": {"gitCommit": commit},
                     "annotations": {"clean": clean, "subdirectory": "sub"}}]},
                "runDetails": {"builder": {"id": "b"}},
            });
            recorded(&serde_json::from_value(provenance).unwrap())
        };
        let uri = "git+https://git.example/a.git";
        assert_eq!(read(true, uri), Some((uri.into(), commit.clone(), "sub".into())));
        assert_eq!(read(false, uri), None, "it had changes that are in no commit");
        assert_eq!(read(true, ""), None);
    }
}
