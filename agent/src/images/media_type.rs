//! Names the media types of manifests, configurations and layers: those of the
//! OCI image specification, and of Docker's image manifest version 2, schema 2.

pub(crate) use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE as CONFIG, IMAGE_DOCKER_CONFIG_MEDIA_TYPE as DOCKER_CONFIG,
    IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE as DOCKER_LAYER_GZIP,
    IMAGE_DOCKER_LAYER_TAR_MEDIA_TYPE as DOCKER_LAYER, IMAGE_LAYER_GZIP_MEDIA_TYPE as LAYER_GZIP,
    IMAGE_LAYER_MEDIA_TYPE as LAYER,
    IMAGE_LAYER_NONDISTRIBUTABLE_GZIP_MEDIA_TYPE as FOREIGN_LAYER_GZIP,
    IMAGE_LAYER_NONDISTRIBUTABLE_MEDIA_TYPE as FOREIGN_LAYER,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE as DOCKER_INDEX, IMAGE_MANIFEST_MEDIA_TYPE as DOCKER_MANIFEST,
    OCI_IMAGE_INDEX_MEDIA_TYPE as INDEX, OCI_IMAGE_MEDIA_TYPE as MANIFEST,
};

pub(crate) const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
pub(crate) const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
pub(crate) const DOCKER_FOREIGN_LAYER_GZIP: &str =
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
