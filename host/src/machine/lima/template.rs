//! Writes the template of the instance: <https://lima-vm.io/docs/config/>.

use std::path::Path;

use serde_json::{Value, json};

use crate::settings::{GuestImage, Shape};

/// The oldest lima that supports this template.
const MINIMUM: &str = "2.0.0";
/// Debian 13's cloud images; lima verifies the digests.
const IMAGES: [(&str, &str, &str); 2] = [
    (
        "x86_64",
        "https://cloud.debian.org/images/cloud/trixie/20260712-2537/debian-13-genericcloud-amd64-20260712-2537.qcow2",
        "sha512:7ae53e9dbee282bfc16f289dec483dde3a8598769c38a267948310f7a2a52c662620198603bc52c142627efba389863d16079698a10b34102d55bcedd40e8d32",
    ),
    (
        "aarch64",
        "https://cloud.debian.org/images/cloud/trixie/20260712-2537/debian-13-genericcloud-arm64-20260712-2537.qcow2",
        "sha512:8543d795f2fde630eb66c492f245a8c1da19dedc636e0a8e7b3d0f95920e1a05aa911ef2d82d177d41cc53ced5fccbd2a3945d07fa5e15018914c4d864bb07ed",
    ),
];
/// The kernel's command line for a guest folder. It names the root disk.
const COMMAND_LINE: &str = "root=/dev/vda rw console=ttyS0 net.ifnames=0 loglevel=4";
const ROOT_DISK: &str = "root.qcow2";
const KERNEL: &str = "vmlinuz";
const INITRAMFS: &str = "initrd.gz";

/// Returns the instance's configuration as JSON, which is also YAML.
///
/// Only macOS shares a folder with the guest. Debian's cloud kernels have the
/// file system that Apple's virtualisation needs for that, and lack the one
/// that QEMU needs.
pub(super) fn template(shape: &Shape, shared: &Path) -> String {
    let mut template = json!({
        "minimumLimaVersion": MINIMUM,
        "images": images(shape.guest.as_ref()),
        "cpus": shape.cpus,
        "memory": mebibytes(shape.memory),
        "disk": mebibytes(shape.disk),
        "mounts": [],
        "containerd": { "system": false, "user": false },
        "ssh": { "loadDotSSHPubKeys": false, "forwardAgent": false },
        "video": { "display": "none" },
        "upgradePackages": false,
    });
    let own = if cfg!(target_os = "macos") {
        let mounts = json!([{ "location": shared, "writable": true }]);
        json!({ "vmType": "vz", "mountType": "virtiofs", "mounts": mounts })
    } else {
        json!({ "vmType": "qemu" })
    };
    merge(&mut template, own);
    if starts_without_boot_loader(shape.guest.as_ref()) {
        merge(&mut template, json!({ "firmware": { "legacyBIOS": true } }));
    }
    template.to_string()
}

fn merge(template: &mut Value, more: Value) {
    if let (Some(template), Value::Object(more)) = (template.as_object_mut(), more) {
        template.extend(more);
    }
}

fn images(guest: Option<&GuestImage>) -> Value {
    match guest {
        None => IMAGES
            .iter()
            .map(|(arch, url, digest)| json!({ "arch": arch, "location": url, "digest": digest }))
            .collect(),
        Some(GuestImage::Url { url, digest }) => {
            let mut image = json!({ "arch": std::env::consts::ARCH, "location": url });
            if let Some(digest) = digest {
                merge(&mut image, json!({ "digest": digest }));
            }
            json!([image])
        }
        Some(GuestImage::Path(path)) if path.is_dir() => json!([folder(path)]),
        Some(GuestImage::Path(path)) => {
            json!([{ "arch": std::env::consts::ARCH, "location": path }])
        }
    }
}

/// Returns the image entry for a folder with a root disk and, if there is one,
/// a kernel to start without a boot loader.
fn folder(folder: &Path) -> Value {
    let arch = std::env::consts::ARCH;
    let mut image = json!({ "arch": arch, "location": folder.join(ROOT_DISK) });
    if folder.join(KERNEL).exists() {
        let kernel = json!({ "location": folder.join(KERNEL), "cmdline": COMMAND_LINE });
        let initramfs = json!({ "location": folder.join(INITRAMFS) });
        merge(&mut image, json!({ "kernel": kernel, "initrd": initramfs }));
    }
    image
}

fn starts_without_boot_loader(guest: Option<&GuestImage>) -> bool {
    cfg!(target_arch = "x86_64")
        && matches!(guest, Some(GuestImage::Path(path)) if path.join(KERNEL).exists())
}

fn mebibytes(bytes: u64) -> String {
    format!("{}MiB", bytes >> 20)
}
