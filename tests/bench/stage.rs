//! Runs the rows: builders, registry and contexts in a directory that is gone afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use touchmark_tests::{
    base,
    registry::{self, Registry},
};

use crate::{
    buildah::Buildah,
    buildkit::BuildKit,
    context,
    meter::{self, Measured, Watch},
    result::{self, Outcome},
    row::{Row, Start},
    settings::Settings,
    subject::{Cache, End, Order, Subject},
    touchmark::Touchmark,
};

/// Builders beside a registry. The first is touchmark, the second BuildKit.
pub(crate) struct Stage {
    builders: Vec<(&'static str, Box<dyn Subject>)>,
    registry: Option<Registry>,
    port: u16,
    dir: tempfile::TempDir,
    runs: usize,
}

impl Stage {
    /// Sets up everything; nothing is running yet but the registry.
    pub(crate) fn set(settings: &Settings) -> Self {
        let dir = tempfile::Builder::new().prefix("tm-bench-").tempdir_in("/tmp");
        let dir = dir.expect("a directory in /tmp");
        open_to_all(dir.path());
        let port = settings.port.unwrap_or_else(registry::free_port);
        let registry = Registry::from_storage_on(&base::storage(), port);
        let touchmark = Touchmark::of(&settings.user, &registry);
        let ids = touchmark.ids();
        let docker = dir.path().join("docker");
        let buildkit = BuildKit::new(settings.peers(), &docker, &registry.host(), ids.clone());
        let store = dir.path().join("buildah");
        let buildah = Buildah::new(settings.peers(), &store, ids, buildkit.pid_file());
        let builders: Vec<(&'static str, Box<dyn Subject>)> = vec![
            ("touchmark", Box::new(touchmark)),
            ("BuildKit", Box::new(buildkit)),
            ("buildah", Box::new(buildah)),
        ];
        Self { builders, registry: Some(registry), port, dir, runs: settings.runs }
    }

    /// Name and version of each builder.
    pub(crate) fn versions(&mut self) -> Vec<String> {
        let mut versions = Vec::new();
        for (name, builder) in &mut self.builders {
            builder.refresh().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
            versions.push(builder.version());
        }
        versions
    }

    /// Runs a row with every builder, in turns.
    pub(crate) fn row(&mut self, row: &Row) -> Value {
        let context = self.context(row.key, row.write);
        let mut played: Vec<Played> = Vec::new();
        for at in 0..self.builders.len() {
            let state = self.prepare(at, row, &context);
            played.push(Played { runs: Vec::new(), memory: None, out: state.err() });
        }
        for round in 1..=self.runs + 1 {
            let watch = if round > self.runs { Watch::Memory } else { Watch::Time };
            for (at, played) in played.iter_mut().enumerate().filter(|(_, it)| it.out.is_none()) {
                match self.run(at, row, &context, round, watch) {
                    Ok(measured) => {
                        self.say(row.key, at, round, &measured);
                        match watch {
                            Watch::Time => played.runs.push(measured),
                            Watch::Memory => played.memory = Some(measured),
                        }
                    }
                    Err(error) => played.out = Some(Outcome::Failed(error)),
                }
            }
        }
        let _ = fs::remove_dir_all(&context);
        let outcomes = played.into_iter().zip(&self.builders).map(|(played, (name, _))| {
            let outcome = played.outcome();
            if let Outcome::Failed(reason) = &outcome {
                println!("   {}: {name} FAILED: {reason}", row.key);
            }
            outcome.json(name)
        });
        result::row(row, outcomes.collect())
    }

    /// What touchmark needs for one build of this context from a cold start, by the clock and at most of memory.
    pub(crate) fn alone(&mut self, context: &Path, watch: Watch) -> Result<Measured, String> {
        let image = format!("{}/growth/touchmark:1", self.host());
        let order = order(context, image);
        let (_, builder) = &mut self.builders[0];
        builder.refresh()?;
        drop_page_cache();
        meter::measure(&builder.owner(), watch, builder.command(&order))
    }

    /// An empty registry but for the base images, and the context that `write` makes.
    pub(crate) fn context(&mut self, key: &str, write: impl Fn(&Path, &str)) -> PathBuf {
        drop(self.registry.take());
        self.registry = Some(Registry::from_storage_on(&base::storage(), self.port));
        let context = self.dir.path().join(format!("context-{key}"));
        fs::create_dir_all(&context).expect("own directory");
        write(&context, &self.host());
        context
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Brings a builder into the state from which the runs of `row` start, as far as they share one.
    fn prepare(&mut self, at: usize, row: &Row, context: &Path) -> Result<(), Outcome> {
        let order = self.order(at, row, context, 0);
        match (self.builders[at].0, row.pending, row.without_buildah) {
            ("touchmark", Some(reason), _) => return Err(Outcome::Pending(reason.into())),
            (_, Some(_), _) => return Err(Outcome::Absent("nothing to compare with".into())),
            ("buildah", _, Some(reason)) => return Err(Outcome::Absent(reason.into())),
            _ => {}
        }
        let order = match row.start {
            Start::Cold => return Ok(()),
            Start::Warm | Start::Changed(_) | Start::Downloaded => order,
            Start::SharedCache => Order { cache: Some(Cache::To(self.cache(at))), ..order },
        };
        self.builders[at].1.refresh().map_err(Outcome::Failed)?;
        let command = self.builders[at].1.command(&order);
        let (_, said) = meter::told(command).map_err(Outcome::Failed)?;
        match said.lines().find(|line| line.contains("has no effect")) {
            Some(line) => Err(Outcome::Pending(line.trim().to_owned())),
            None => Ok(()),
        }
    }

    fn run(
        &mut self,
        at: usize,
        row: &Row,
        context: &Path,
        round: usize,
        watch: Watch,
    ) -> Result<Measured, String> {
        let mut order = self.order(at, row, context, round);
        let cache = Cache::From(self.cache(at));
        let builders = self.builders.len();
        let (_, builder) = &mut self.builders[at];
        match row.start {
            Start::Warm => {}
            Start::Changed(change) => change(context, round * builders + at),
            Start::Downloaded => {
                builder.forget_but_downloads()?;
                drop_page_cache();
            }
            Start::Cold | Start::SharedCache => {
                builder.refresh()?;
                drop_page_cache();
            }
        }
        if matches!(row.start, Start::SharedCache) {
            order.cache = Some(cache);
        }
        meter::measure(&builder.owner(), watch, builder.command(&order))
    }

    fn order(&self, at: usize, row: &Row, context: &Path, round: usize) -> Order {
        let name = self.builders[at].0.to_lowercase();
        // Where everything is new, so is the repository: nothing in it spares an upload.
        let repository = match row.start {
            Start::Warm | Start::Changed(_) => format!("bench/{name}-{}", row.key),
            Start::Cold | Start::Downloaded | Start::SharedCache => {
                format!("bench/{name}-{}-{round}", row.key)
            }
        };
        let image = format!("{}/{repository}:1", self.host());
        let text = fs::read_to_string(context.join("Dockerfile")).expect("a Dockerfile");
        let arguments = text.contains("ARG BASE=");
        let arguments = arguments.then(|| format!("BASE={}", context::debian(&self.host())));
        Order { arguments: arguments.into_iter().collect(), end: row.end, ..order(context, image) }
    }

    fn cache(&self, at: usize) -> String {
        format!("{}/cache/{}:1", self.host(), self.builders[at].0.to_lowercase())
    }

    fn say(&self, key: &str, at: usize, round: usize, measured: &Measured) {
        let (name, wall) = (self.builders[at].0, result::milliseconds(measured.wall));
        let cpu = result::milliseconds(measured.usage.cpu);
        match measured.peak {
            Some(peak) => println!("   {key}: {name}, at most {} MB", peak / 1_000_000),
            None => {
                println!(
                    "   {key}: {name} {round}/{}, {wall:.0} ms (processor {cpu:.0} ms)",
                    self.runs
                );
            }
        }
    }
}

/// What a builder did with a row so far.
struct Played {
    runs: Vec<Measured>,
    memory: Option<Measured>,
    out: Option<Outcome>,
}

impl Played {
    fn outcome(self) -> Outcome {
        match (self.out, self.memory) {
            (Some(outcome), _) => outcome,
            (None, Some(memory)) => Outcome::Measured { runs: self.runs, memory },
            (None, None) => Outcome::Failed("it was not run".into()),
        }
    }
}

fn order(context: &Path, image: String) -> Order {
    Order {
        context: context.to_owned(),
        image,
        arguments: Vec::new(),
        end: End::Pushed,
        cache: None,
    }
}

/// The user who builds with touchmark reads contexts below it.
fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("own directory");
}

/// Forgets what was read from disks; where that is not allowed, all builders find the same.
fn drop_page_cache() {
    nix::unistd::sync();
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
}
