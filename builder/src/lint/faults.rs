//! Why a file cannot be built, as far as it can be said without its base images.

use crate::{
    dockerfile::{Diagnostic, Dockerfile},
    graph::{BaseConfigs, BuildOptions, base_images, lower},
    oci::config::ImageConfig,
};

/// The faults of a file without faults of parsing. Every base image is taken for an empty one, and so a
/// fault that a variable of the base could heal is left out.
#[must_use]
pub fn faults(file: &Dockerfile, options: &BuildOptions) -> Vec<Diagnostic> {
    let images = match base_images(file, options) {
        Ok(images) => images,
        Err(faults) => return faults,
    };
    let configs: BaseConfigs = images
        .iter()
        .filter(|image| image.is_base)
        .map(|image| {
            let key = (image.reference.to_string(), image.platform.to_string());
            (key, ImageConfig::scratch(&image.platform))
        })
        .collect();
    let mut faults = lower(file, options, &configs).err().unwrap_or_default();
    if !configs.is_empty() {
        faults.retain(|fault| !uses_variable(file, fault));
    }
    faults
}

/// Does the instruction at fault use a variable?
fn uses_variable(file: &Dockerfile, fault: &Diagnostic) -> bool {
    let mut steps = file.stages.iter().flat_map(|stage| &stage.instructions);
    let line = fault.span.first_line;
    steps
        .find(|step| (step.span.first_line..=step.span.last_line).contains(&line))
        .is_some_and(|step| step.text.contains('$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        let options = BuildOptions::new("linux/amd64".parse().unwrap());
        let found = faults(&Dockerfile::parse(source).unwrap(), &options);
        found.into_iter().map(|fault| format!("{}: {}", fault.span, fault.message)).collect()
    }

    #[test]
    fn a_base_that_is_not_known_may_heal() {
        assert_eq!(found("FROM java:21\nENV A=${JAVA_HOME:?}\nVOLUME $DATA\n"), [""; 0]);
        assert_eq!(found("FROM scratch\nVOLUME $DATA\n"), ["2:8: '$DATA' of VOLUME is empty"]);
        assert_eq!(found("FROM java:21\nEXPOSE http\n"), ["2:8: 'http' is not a port"]);
        assert_eq!(found("FROM a\nCOPY --from=b:: x y\n").len(), 1);
    }
}
