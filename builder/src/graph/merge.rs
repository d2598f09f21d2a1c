//! The graphs of several platforms as one: what is the same for all of them, such as a stage that
//! cross-compiles on the platform that builds, is done once.

use std::collections::HashMap;

use super::{
    build_graph::{BuildGraph, Vertex, VertexId},
    operation::Op,
};

/// Operations of several graphs, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The operations; each comes after those it needs.
    pub vertices: Vec<Vertex>,
    /// For each graph, in the order given: which of `vertices` each of its own vertices is.
    pub places: Vec<Vec<VertexId>>,
}

/// Joins graphs. Two operations are the same when they do the same to the same inputs; the origin of the
/// first one stays.
#[must_use]
pub fn merge(graphs: &[&BuildGraph]) -> Merged {
    let mut known: HashMap<Op, VertexId> = HashMap::new();
    let mut merged = Merged { vertices: Vec::new(), places: Vec::new() };
    for graph in graphs {
        let mut places: Vec<VertexId> = Vec::with_capacity(graph.vertices.len());
        for vertex in &graph.vertices {
            let op = vertex.op.clone().with_inputs(|input| places[input.0]);
            let place = *known.entry(op).or_insert_with_key(|op| {
                let vertex = Vertex { op: op.clone(), origin: vertex.origin.clone() };
                merged.vertices.push(vertex);
                VertexId(merged.vertices.len() - 1)
            });
            places.push(place);
        }
        merged.places.push(places);
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::{
        dockerfile::Dockerfile,
        graph::{
            BuildOptions, base_images,
            golden_tests::{configs, options},
            lower,
        },
    };

    fn graph(source: &str, platform: &str) -> BuildGraph {
        let file = Dockerfile::parse(source).unwrap();
        let options: BuildOptions = options(&format!("platform={platform}\nseveral-platforms"));
        let images = base_images(&file, &options).unwrap();
        lower(&file, &options, &configs(&images)).unwrap()
    }

    fn show(merged: &Merged) -> String {
        let mut out = String::new();
        for (id, vertex) in merged.vertices.iter().enumerate() {
            let inputs: Vec<usize> = vertex.op.inputs().iter().map(|input| input.0).collect();
            assert!(inputs.iter().all(|input| *input < id), "topological order");
            let _ =
                writeln!(out, "#{id} [{}] {} {inputs:?}", vertex.origin.stage, vertex.origin.text);
        }
        for places in &merged.places {
            let numbers: Vec<usize> = places.iter().map(|place| place.0).collect();
            let _ = writeln!(out, "{numbers:?}");
        }
        out
    }

    const CROSS: &str = "FROM --platform=$BUILDPLATFORM golang AS build\n\
        RUN go mod download\n\
        ARG TARGETARCH\n\
        RUN GOARCH=$TARGETARCH go build -o /out/app\n\
        FROM scratch\n\
        COPY --from=build /out/app /app\n";

    #[test]
    fn what_does_not_depend_on_the_platform_is_done_once() {
        let (amd64, arm64) = (graph(CROSS, "linux/amd64"), graph(CROSS, "linux/arm64"));
        let merged = merge(&[&amd64, &arm64]);
        let expected = "#0 [linux/amd64 build] FROM docker.io/library/golang:latest []\n\
            #1 [linux/amd64 build] RUN go mod download [0]\n\
            #2 [linux/amd64 build] RUN GOARCH=amd64 go build -o /out/app [1]\n\
            #3 [linux/amd64 stage-1] FROM scratch []\n\
            #4 [linux/amd64 stage-1] COPY --from=build /out/app /app [3, 2]\n\
            #5 [linux/amd64->arm64 build] RUN GOARCH=arm64 go build -o /out/app [1]\n\
            #6 [linux/arm64 stage-1] COPY --from=build /out/app /app [3, 5]\n\
            [0, 1, 2, 3, 4]\n\
            [0, 1, 5, 3, 6]\n";
        assert_eq!(show(&merged), expected);
    }

    #[test]
    fn a_base_image_of_each_platform_is_another_one() {
        let source = "FROM debian\nRUN --mount=type=bind,from=busybox,target=/b true\n";
        let (amd64, arm64) = (graph(source, "linux/amd64"), graph(source, "linux/arm64"));
        assert_eq!(merge(&[&amd64, &arm64]).vertices.len(), 6);
        assert_eq!(merge(&[&amd64, &amd64]).vertices.len(), 3);
        assert_eq!(merge(&[&amd64]).vertices, amd64.vertices);
    }
}
