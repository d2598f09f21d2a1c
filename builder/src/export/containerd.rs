//! Bringing an image into the store of a running containerd, as `ctr image pull` would: blobs, the
//! image's name, and the layers unpacked as snapshots, so that `nerdctl run` and `ctr run` can start it.
//! Only services that containerd 1.6 to 2.x share are used.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use containerd_client::{
    services::v1::{
        ApplyRequest, CreateImageRequest, CreateRequest, DeleteRequest, Image, InfoRequest,
        UpdateImageRequest, UpdateRequest, WriteAction, WriteContentRequest,
        snapshots::{
            CommitSnapshotRequest, PrepareSnapshotRequest, RemoveSnapshotRequest,
            StatSnapshotRequest,
        },
    },
    types,
};
use futures::{StreamExt, stream};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::net::UnixStream;
use tokio_util::io::ReaderStream;
use tonic::{Request, metadata::MetadataValue};

use super::{
    docker::outside,
    release::{PlatformImage, Release},
};
use crate::{
    content::store::ContentStore,
    oci::{descriptor::Descriptor, digest::Digest, platform::Platform, reference::Reference},
    solver::key::chain_id,
    worker::{Connection, ConnectionError},
};

/// The snapshotter that nerdctl and ctr use unless they are told otherwise.
const SNAPSHOTTER: &str = "overlayfs";
/// How long what is half there stays when this process ends early.
const LIFETIME: Duration = Duration::from_secs(3600);
/// Bytes per message; containerd takes 4 MiB at most.
const CHUNK: usize = 1024 * 1024;

/// Why containerd has no image.
#[derive(Debug, thiserror::Error)]
pub enum ContainerdError {
    /// Nobody listens, or not for this user.
    #[error(
        "no containerd answers at {}: {reason}\n\
         help: name its socket, with --output type=containerd,address=SOCKET or CONTAINERD_ADDRESS\n\
         help: where it is root's, pipe the image: touchmark build -o type=oci … | sudo ctr -n default \
         images import -",
        socket.display()
    )]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// It answered with an error.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A blob cannot be read.
    #[error("the blob {digest} cannot be read: {source}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// What the system said.
        source: std::io::Error,
    },
    /// It unpacked something else than was sent.
    #[error("containerd unpacked the layer {wanted} as {found}")]
    Layer {
        /// Digest of the uncompressed layer.
        wanted: Digest,
        /// What containerd says it is.
        found: String,
    },
    /// The system gave no random bytes.
    #[error("no random name can be made: {0}")]
    Random(getrandom::Error),
}

/// Is there a containerd? Asked before the build, so that it does not fail at its end.
pub(super) async fn check(socket: &Path) -> Result<PathBuf, ContainerdError> {
    let reason = match UnixStream::connect(socket).await {
        Ok(_) => return Ok(socket.into()),
        Err(error) => error,
    };
    if let Some(outside) = outside(socket)
        && UnixStream::connect(&outside).await.is_ok()
    {
        return Ok(outside);
    }
    Err(ContainerdError::Unreachable { socket: socket.into(), reason: reason.to_string() })
}

/// Brings `release` into the namespace under every name, and unpacks the image for this machine.
pub(super) async fn load(
    release: &Release,
    names: &[Reference],
    content: &ContentStore,
    (socket, namespace): (&Path, &str),
) -> Result<(), ContainerdError> {
    let socket = check(socket).await?;
    let connection = Connection::open(&socket).await?;
    let lease = format!("touchmark-load-{}", random()?);
    let session = Session { connection, namespace, lease };
    session.open().await?;
    let loaded = session.bring(release, names, content).await;
    let closed = session.close().await;
    loaded.and(closed)
}

/// One loading: a lease holds what comes in until the image's name does.
struct Session<'a> {
    connection: Connection,
    namespace: &'a str,
    lease: String,
}

impl Session<'_> {
    async fn open(&self) -> Result<(), ContainerdError> {
        let expiry = OffsetDateTime::from(SystemTime::now() + LIFETIME).format(&Rfc3339);
        let expiry = expiry.unwrap_or_else(|_| "1970-01-01T00:00:00Z".into());
        let labels = HashMap::from([("containerd.io/gc.expire".to_owned(), expiry)]);
        let create = self.request(CreateRequest { id: self.lease.clone(), labels });
        let made = self.connection.leases().create(create).await;
        made.map(drop).map_err(|status| ConnectionError::call("create a lease")(status).into())
    }

    async fn close(&self) -> Result<(), ContainerdError> {
        let delete = self.request(DeleteRequest { id: self.lease.clone(), sync: false });
        let gone = self.connection.leases().delete(delete).await;
        gone.map(drop).map_err(|status| ConnectionError::call("delete a lease")(status).into())
    }

    async fn bring(
        &self,
        release: &Release,
        names: &[Reference],
        content: &ContentStore,
    ) -> Result<(), ContainerdError> {
        let host = Platform::host();
        let mut unpacked = false;
        for one in release.images() {
            self.image(one, content).await?;
            if !unpacked && host.accepts(&one.platform) {
                self.unpack(one).await?;
                unpacked = true;
            }
        }
        if release.index().is_some() {
            let manifests = release
                .images()
                .enumerate()
                .map(|(number, one)| (format!("m.{number}"), one.image.descriptor.digest));
            self.blob(release.descriptor(), content, references(manifests)).await?;
        }
        for name in names {
            self.name(&name.tagged(name.tag().unwrap_or("latest")), release.descriptor()).await?;
        }
        Ok(())
    }

    /// Layers, configuration and manifest, what is named before what names it.
    async fn image(
        &self,
        one: &PlatformImage,
        content: &ContentStore,
    ) -> Result<(), ContainerdError> {
        let image = &one.image;
        for layer in &image.layers {
            self.blob(layer, content, HashMap::new()).await?;
        }
        let config = Descriptor::of("", &image.config);
        let mut labels = HashMap::new();
        if let Some(top) = chain_id(&one.diff_ids) {
            let key = format!("containerd.io/gc.ref.snapshot.{SNAPSHOTTER}");
            labels.insert(key, top.to_string());
        }
        self.blob(&config, content, labels).await?;
        let layers = image.layers.iter().enumerate();
        let layers = layers.map(|(number, layer)| (format!("l.{number}"), layer.digest));
        let all = layers.chain([("config".to_owned(), config.digest)]);
        self.blob(&image.descriptor, content, references(all)).await
    }

    /// Writes a blob, unless it is there; its labels keep what it names from the collector.
    async fn blob(
        &self,
        blob: &Descriptor,
        content: &ContentStore,
        labels: HashMap<String, String>,
    ) -> Result<(), ContainerdError> {
        let path = content.path(&blob.digest);
        let file = tokio::fs::File::open(&path).await;
        let file = file.map_err(|source| ContainerdError::Blob { digest: blob.digest, source })?;
        let total = i64::try_from(blob.size).unwrap_or(0);
        let message = WriteContentRequest {
            action: WriteAction::Write.into(),
            r#ref: format!("{}-{}", self.lease, blob.digest),
            total,
            expected: blob.digest.to_string(),
            ..WriteContentRequest::default()
        };
        let last = WriteContentRequest {
            action: WriteAction::Commit.into(),
            offset: total,
            labels: labels.clone(),
            ..message.clone()
        };
        // A file that ends early leaves containerd waiting for bytes, and it refuses to commit.
        let chunks = ReaderStream::with_capacity(file, CHUNK).scan(0, move |offset, chunk| {
            let data = chunk.unwrap_or_default().to_vec();
            let message = WriteContentRequest { offset: *offset, data, ..message.clone() };
            *offset += i64::try_from(message.data.len()).unwrap_or(0);
            std::future::ready(Some(message))
        });
        let messages = chunks.chain(stream::iter([last]));
        let call = || format!("write the blob {}", blob.digest);
        let written = async {
            let answers = self.connection.content().write(self.request(messages)).await?;
            let mut answers = answers.into_inner();
            while answers.message().await?.is_some() {}
            Ok(())
        };
        match written.await.map_err(ConnectionError::call(call())) {
            Err(error) if error.is_already_there() => self.label(blob, labels).await,
            other => Ok(other?),
        }
    }

    /// Adds labels to a blob that was there.
    async fn label(
        &self,
        blob: &Descriptor,
        labels: HashMap<String, String>,
    ) -> Result<(), ContainerdError> {
        if labels.is_empty() {
            return Ok(());
        }
        let call = || ConnectionError::call(format!("label the blob {}", blob.digest));
        let mut client = self.connection.content();
        let asked = self.request(InfoRequest { digest: blob.digest.to_string() });
        let info = client.info(asked).await.map_err(call())?.into_inner().info;
        let Some(mut info) = info else { return Ok(()) };
        info.labels.extend(labels);
        let update = self.request(UpdateRequest { info: Some(info), update_mask: None });
        client.update(update).await.map_err(call())?;
        Ok(())
    }

    /// Points a name at the image.
    async fn name(&self, name: &Reference, target: &Descriptor) -> Result<(), ContainerdError> {
        let image =
            Image { name: name.to_string(), target: Some(theirs(target)), ..Image::default() };
        let call = || ConnectionError::call(format!("name the image {name}"));
        let mut images = self.connection.images();
        let create = CreateImageRequest { image: Some(image.clone()), source_date_epoch: None };
        match images.create(self.request(create)).await.map_err(call()) {
            Err(error) if error.is_already_there() => {
                let update = UpdateImageRequest {
                    image: Some(image),
                    update_mask: None,
                    source_date_epoch: None,
                };
                images.update(self.request(update)).await.map_err(call())?;
                Ok(())
            }
            other => Ok(other.map(drop)?),
        }
    }

    /// Makes a snapshot of every layer that has none.
    async fn unpack(&self, one: &PlatformImage) -> Result<(), ContainerdError> {
        let mut snapshots = self.connection.snapshots();
        let mut parent = String::new();
        for (end, (layer, diff_id)) in one.image.layers.iter().zip(&one.diff_ids).enumerate() {
            let Some(chain) = chain_id(&one.diff_ids[..=end]) else { continue };
            let stat =
                StatSnapshotRequest { snapshotter: SNAPSHOTTER.into(), key: chain.to_string() };
            if snapshots.stat(self.request(stat)).await.is_err() {
                self.layer(layer, *diff_id, &parent, &chain).await?;
            }
            parent = chain.to_string();
        }
        Ok(())
    }

    async fn layer(
        &self,
        layer: &Descriptor,
        diff_id: Digest,
        parent: &str,
        chain: &Digest,
    ) -> Result<(), ContainerdError> {
        let call = || ConnectionError::call(format!("unpack the layer {diff_id}"));
        let mut snapshots = self.connection.snapshots();
        let key = format!("extract-{} {chain}", random()?);
        let prepare = PrepareSnapshotRequest {
            snapshotter: SNAPSHOTTER.into(),
            key: key.clone(),
            parent: parent.into(),
            ..PrepareSnapshotRequest::default()
        };
        let mounts = snapshots.prepare(self.request(prepare)).await.map_err(call())?;
        let apply = ApplyRequest {
            diff: Some(theirs(layer)),
            mounts: mounts.into_inner().mounts,
            ..ApplyRequest::default()
        };
        let applied = self.connection.diffs().apply(self.request(apply)).await.map_err(call());
        let checked = applied.map_err(ContainerdError::from).and_then(|applied| {
            let found = applied.into_inner().applied.unwrap_or_default().digest;
            match found == diff_id.to_string() {
                true => Ok(()),
                false => Err(ContainerdError::Layer { wanted: diff_id, found }),
            }
        });
        let commit = CommitSnapshotRequest {
            snapshotter: SNAPSHOTTER.into(),
            name: chain.to_string(),
            key: key.clone(),
            ..CommitSnapshotRequest::default()
        };
        let committed = match checked {
            Ok(()) => snapshots.commit(self.request(commit)).await.map_err(call()),
            Err(fault) => {
                self.give_up(key).await;
                return Err(fault);
            }
        };
        match committed {
            Err(error) => {
                self.give_up(key).await;
                // Somebody else unpacked the same layer meanwhile.
                if error.is_already_there() { Ok(()) } else { Err(error.into()) }
            }
            Ok(_) => Ok(()),
        }
    }

    async fn give_up(&self, key: String) {
        let remove = RemoveSnapshotRequest { snapshotter: SNAPSHOTTER.into(), key };
        // The lease's end takes what stays; the failure that led here counts more.
        let _ = self.connection.snapshots().remove(self.request(remove)).await;
    }

    /// A message in the namespace, under the lease.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (key, value) in
            [("containerd-namespace", self.namespace), ("containerd-lease", &self.lease)]
        {
            if let Ok(value) = MetadataValue::try_from(value) {
                request.metadata_mut().insert(key, value);
            }
        }
        request
    }
}

/// Labels by which the collector finds what a document names.
fn references(named: impl Iterator<Item = (String, Digest)>) -> HashMap<String, String> {
    let label = |(key, digest): (String, Digest)| {
        (format!("containerd.io/gc.ref.content.{key}"), digest.to_string())
    };
    named.map(label).collect()
}

fn theirs(descriptor: &Descriptor) -> types::Descriptor {
    types::Descriptor {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        size: i64::try_from(descriptor.size).unwrap_or(0),
        annotations: descriptor.annotations.clone().into_iter().collect(),
    }
}

fn random() -> Result<String, ContainerdError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(ContainerdError::Random)?;
    Ok(hex::encode(bytes))
}
