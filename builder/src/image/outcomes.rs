//! What came of images before: hardened, and taken the inventory of. It is remembered here, or another machine
//! that is trusted tells it; what a build used of it is noted, for the machines that it shares with.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use super::hardened::HardenedImage;
use crate::{
    content::{index::Table, records::Records, store::ContentStore},
    oci::{descriptor::Descriptor, digest::Digest},
    sbom::inventory::Inventory,
    solver::shared::LayerSource,
};

/// A larger inventory is not read, in bytes.
pub const MAX_INVENTORY: u64 = 256 << 20;

/// Changes when the same layers have another inventory.
const INVENTORY_VERSION: u32 = 1;

/// Outcomes of images, by the digest of all that they follow from.
pub struct Outcomes {
    records: Records,
    told: Told,
    keeps: bool,
    passed: Mutex<Passed>,
}

/// What other machines tell.
#[derive(Debug, Default)]
pub struct Told {
    images: HashMap<Digest, HardenedImage>,
    inventories: HashMap<Digest, (Descriptor, Arc<dyn LayerSource>)>,
}

/// What a build used.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// Hardened images.
    pub images: BTreeMap<Digest, HardenedImage>,
    /// Inventories, by [`inventory_key`].
    pub inventories: BTreeMap<Digest, Arc<Inventory>>,
}

impl Told {
    /// Adds a hardened image. The first one that is added for a key stays.
    pub fn add_image(&mut self, key: Digest, image: HardenedImage) {
        self.images.entry(key).or_insert(image);
    }

    /// Adds an inventory and who has it. The first one stays.
    pub fn add_inventory(&mut self, key: Digest, blob: Descriptor, source: Arc<dyn LayerSource>) {
        self.inventories.entry(key).or_insert((blob, source));
    }
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Outcomes {
    /// Those in the index that `records` shows, and what was `told`. Inventories are only kept where a build
    /// `keeps` them to share them.
    #[must_use]
    pub fn new(records: Records, told: Told, keeps: bool) -> Self {
        Self { records, told, keeps, passed: Mutex::default() }
    }

    /// The records, for the outcomes that are not shared.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Has an inventory to be kept?
    #[must_use]
    pub fn keeps_inventories(&self) -> bool {
        self.keeps
    }

    /// Hardened images under this key, as long as they are `usable`: the one that is remembered, or told.
    pub fn hardened(
        &self,
        key: &Digest,
        usable: impl Fn(&HardenedImage) -> bool,
    ) -> Option<HardenedImage> {
        let own = self.records.of(Table::Hardened).get(key);
        let own = own.filter(&usable);
        let found = own.or_else(|| {
            let told = self.told.images.get(key).filter(|image| usable(image))?;
            // Lost, it is told once more.
            let _ = self.records.of(Table::Hardened).put(key, told);
            Some(told.clone())
        })?;
        self.passed().images.insert(*key, found.clone());
        Some(found)
    }

    /// Remembers a hardened image.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn harden(&self, key: &Digest, image: &HardenedImage) -> std::io::Result<()> {
        self.passed().images.insert(*key, image.clone());
        self.records.of(Table::Hardened).put(key, image)
    }

    /// The inventory under this key, from here or from another machine. One that does not come or cannot be
    /// read counts as absent: it is only taken anew then.
    pub async fn inventory(&self, key: &Digest, content: &ContentStore) -> Option<Arc<Inventory>> {
        if let Some(own) = self.records.of(Table::Sboms).get::<Inventory>(key) {
            return Some(self.note(key, own));
        }
        let (blob, source) = self.told.inventories.get(key)?;
        source.bring(std::slice::from_ref(blob), content).await.ok()?;
        let bytes = content.open_verified(blob).ok()?;
        let inventory = read_inventory(bytes).ok()?;
        let _ = self.take_inventory(key, inventory.clone());
        Some(self.note(key, inventory))
    }

    /// Remembers an inventory, where that is wanted.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn take_inventory(
        &self,
        key: &Digest,
        inventory: Inventory,
    ) -> std::io::Result<Arc<Inventory>> {
        if self.keeps {
            self.records.of(Table::Sboms).put(key, &inventory)?;
        }
        Ok(self.note(key, inventory))
    }

    /// What the build used so far.
    #[must_use]
    pub fn used(&self) -> Passed {
        self.passed().clone()
    }

    fn note(&self, key: &Digest, inventory: Inventory) -> Arc<Inventory> {
        let inventory = Arc::new(inventory);
        self.passed().inventories.insert(*key, inventory.clone());
        inventory
    }

    fn passed(&self) -> std::sync::MutexGuard<'_, Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under which key the inventory of these layers stands.
#[must_use]
pub fn inventory_key(diff_ids: &[Digest]) -> Digest {
    let ids: Vec<String> = diff_ids.iter().map(ToString::to_string).collect();
    Digest::of(format!("inventory {INVENTORY_VERSION} {}", ids.join(" ")).as_bytes())
}

/// An inventory as it is shared: JSON, compressed with zstd.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn write_inventory(inventory: &Inventory) -> std::io::Result<Vec<u8>> {
    zstd::encode_all(&*serde_json::to_vec(inventory)?, 3)
}

/// Reads what [`write_inventory`] wrote.
///
/// # Errors
/// When it is not that, or larger than [`MAX_INVENTORY`].
pub fn read_inventory(bytes: impl Read) -> std::io::Result<Inventory> {
    let json = zstd::Decoder::new(bytes)?.take(MAX_INVENTORY);
    Ok(serde_json::from_reader(std::io::BufReader::new(json))?)
}
