//! What becomes of the result of each step: whether its layer goes into an image, and whether anybody mounts
//! it.

use std::collections::HashSet;

use crate::graph::{BuildGraph, Op, Origin, Vertex, VertexId, merge::Merged};

/// The uses of all steps of a build, by their numbers.
pub(super) struct Uses {
    exported: HashSet<VertexId>,
    mounted: HashSet<VertexId>,
    compressed: Compressed,
}

/// Which layers become blobs as soon as they are there.
enum Compressed {
    All,
    Exported,
    None,
}

impl Uses {
    /// Of these graphs, where an `image` is made of the targets, and where `all` layers are compressed.
    pub(super) fn of(graphs: &[&BuildGraph], merged: &Merged, image: bool, all: bool) -> Self {
        let exported = exported(graphs, merged);
        let mounted = mounted(merged, &exported, image);
        let compressed = match (all, image) {
            (true, _) => Compressed::All,
            (_, true) => Compressed::Exported,
            (false, false) => Compressed::None,
        };
        Self { exported, mounted, compressed }
    }

    /// Is this step's layer to be compressed as soon as it is there?
    pub(super) fn exports(&self, number: usize) -> bool {
        match self.compressed {
            Compressed::All => true,
            Compressed::Exported => self.exported.contains(&VertexId(number)),
            Compressed::None => false,
        }
    }

    /// Does another step mount what this one makes or the image that it is, or may it do so itself?
    pub(super) fn mounts(&self, number: usize) -> bool {
        self.mounted.contains(&VertexId(number))
    }
}

/// All but the COPY steps of exported images that nothing but such steps follows.
fn mounted(merged: &Merged, exported: &HashSet<VertexId>, image: bool) -> HashSet<VertexId> {
    let mut mounted = HashSet::new();
    // What uses a vertex comes after it.
    for (number, vertex) in merged.vertices.iter().enumerate().rev() {
        let id = VertexId(number);
        let suits = matches!(&vertex.op, Op::Copy(op) if op.remote.is_empty() && !op.unpack);
        let is_laid = image && suits && exported.contains(&id) && !mounted.contains(&id);
        // An image does nothing by itself.
        if !is_laid && !matches!(vertex.op, Op::Image(_)) {
            mounted.insert(id);
        }
        // A laid one looks at its parent, if need be as what that has laid.
        mounted.extend(vertex.op.inputs().into_iter().skip(usize::from(is_laid)));
    }
    mounted
}

/// The vertices whose layers go into an image: the targets and the bases below them.
fn exported(graphs: &[&BuildGraph], merged: &Merged) -> HashSet<VertexId> {
    let mut found = HashSet::new();
    for (graph, places) in graphs.iter().zip(&merged.places) {
        let mut next = Some(places[graph.target.vertex.0]);
        while let Some(id) = next.filter(|id| found.insert(*id)) {
            next = merged.vertices[id.0].op.inputs().first().copied();
        }
    }
    found
}

/// The steps that the display counts: not the images, which are only looked up.
pub(super) fn planned(vertices: &[Vertex]) -> Vec<&Origin> {
    let step = |vertex: &&Vertex| !matches!(vertex.op, Op::Image(_) | Op::Scratch);
    vertices.iter().filter(step).map(|vertex| &vertex.origin).collect()
}
