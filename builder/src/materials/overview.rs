//! What came from where, counted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::material::{Material, Sort};

/// Materials of one sort and one ecosystem from one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// How many.
    pub count: u64,
    /// Those with a digest or a commit.
    pub with_digest: u64,
    /// Those that were checked by something beside their digest.
    pub verified: u64,
    /// Bytes of those whose size is known.
    pub bytes: u64,
    /// Those whose size is not known: images, contexts, repositories.
    pub without_size: u64,
}

/// Where a group comes from, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// What sort of things.
    pub sort: Sort,
    /// The host that was asked; empty for this machine.
    pub origin: String,
    /// The host that answered, where the policy named another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// The ecosystem, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecosystem: Option<String>,
}

/// One row of the overview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// From where, and what.
    #[serde(flatten)]
    pub place: Place,
    /// How many.
    #[serde(flatten)]
    pub count: Count,
}

/// All groups, sorted by host and sort behind the images and contexts, and their sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// The rows.
    pub groups: Vec<Group>,
    /// All of them together.
    pub total: Count,
}

impl Overview {
    /// Counts them.
    #[must_use]
    pub fn of(materials: &[Material]) -> Self {
        let mut groups: BTreeMap<Place, Count> = BTreeMap::new();
        let mut total = Count::default();
        for material in materials {
            let place = Place {
                sort: material.sort,
                origin: material.origin.clone(),
                mirror: material.mirror.clone(),
                ecosystem: material.ecosystem.clone(),
            };
            groups.entry(place).or_default().add(material);
            total.add(material);
        }
        let group = |(place, count)| Group { place, count };
        let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
        groups.sort_by(|a, b| a.place.order().cmp(&b.place.order()));
        Self { groups, total }
    }
}

impl Place {
    /// Images and contexts first, then host by host.
    fn order(&self) -> impl Ord + '_ {
        let fetched = !matches!(self.sort, Sort::Image | Sort::Context);
        let first = (!fetched).then_some(self.sort);
        (fetched, first, &self.origin, &self.mirror, self.sort, &self.ecosystem)
    }
}

impl Count {
    fn add(&mut self, material: &Material) {
        self.count += 1;
        self.with_digest += u64::from(material.digest.is_some() || material.commit.is_some());
        self.verified += u64::from(material.verified_by.is_some());
        match material.size.filter(|_| material.sort != Sort::Git) {
            Some(size) => self.bytes = self.bytes.saturating_add(size),
            None => self.without_size += 1,
        }
    }
}
