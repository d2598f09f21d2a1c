//! The images of several platforms under one digest (OCI image-spec, image-index.md).

use super::{CREATED, Sealed, annotations::Level, form::Form};
use crate::oci::{descriptor::Descriptor, manifest::Index, media_type, platform::Platform};

/// An image index as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedIndex {
    /// The index.
    pub bytes: Vec<u8>,
    /// What names it.
    pub descriptor: Descriptor,
}

impl SealedIndex {
    /// An index of these images, in this order, each for its platform. The same images give the same
    /// bytes.
    ///
    /// # Errors
    /// Never for these documents; JSON refuses only maps whose keys are not text.
    pub fn of<'a>(
        images: impl IntoIterator<Item = (&'a Platform, &'a Sealed)>,
        form: &Form,
    ) -> Result<Self, serde_json::Error> {
        // The time stands where the whole is named, not at each of its parts.
        let entry = |(platform, image): (&Platform, &Sealed)| Descriptor {
            platform: Some(platform.clone()),
            annotations: form.annotations.of(Level::ManifestDescriptor, platform),
            ..image.descriptor.clone()
        };
        let images: Vec<_> = images.into_iter().collect();
        let created =
            images.iter().find_map(|(_, image)| image.descriptor.annotations.get(CREATED));
        let created = created.map(|created| (CREATED.to_owned(), created.clone()));
        let manifests = images.into_iter().map(entry).collect();
        let annotations = form.annotations.of_all(Level::Index);
        let media_type =
            if form.docker_types { media_type::DOCKER_INDEX } else { media_type::INDEX };
        let index = Index { annotations, media_type: media_type.into(), ..Index::new(manifests) };
        let bytes = serde_json::to_vec(&index)?;
        let mut descriptor = Descriptor::of(media_type, &bytes);
        descriptor.annotations = created.into_iter().collect();
        descriptor.annotations.extend(form.annotations.of_all(Level::IndexDescriptor));
        Ok(Self { bytes, descriptor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::Image, oci::config::ImageConfig};

    #[test]
    fn the_index_lists_the_platforms_as_they_were_asked_for() {
        let image = |platform: &str| {
            let platform: Platform = platform.parse().unwrap();
            let config = ImageConfig::scratch(&platform);
            let sealed = Image { config, layers: Vec::new() }.seal(&Form::default()).unwrap();
            (platform, sealed)
        };
        let images = [image("linux/arm/v7"), image("linux/amd64")];
        let pairs = images.iter().map(|(platform, image)| (platform, image));
        let index = SealedIndex::of(pairs, &Form::default()).unwrap();
        let entry = |number: usize, platform: &str| {
            let Descriptor { digest, size, .. } = &images[number].1.descriptor;
            format!(
                "{{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"{digest}\",\
                 \"size\":{size},\"platform\":{{{platform}}}}}"
            )
        };
        let expected = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\
             \"manifests\":[{},{}]}}",
            entry(0, "\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\""),
            entry(1, "\"architecture\":\"amd64\",\"os\":\"linux\""),
        );
        assert_eq!(String::from_utf8(index.bytes.clone()).unwrap(), expected);
        assert_eq!(index.descriptor, Descriptor::of(media_type::INDEX, &index.bytes));
    }
}
