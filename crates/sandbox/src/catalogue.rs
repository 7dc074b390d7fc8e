//! What every account finds: regions with their zones, instance types, public
//! images. A small selection of the real one; ids and families are real.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::state::Common;
use crate::state::image::{Image, ImageStatus, Mapping};

static REGIONS: LazyLock<BTreeMap<String, Region>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/regions.json"))
        .expect("the embedded region table is well formed")
});

/// A region.
#[derive(Deserialize)]
pub(crate) struct Region {
    pub(crate) name: String,
    /// Host of the ECS endpoint.
    pub(crate) ecs: String,
}

/// All regions by id.
pub(crate) fn regions() -> &'static BTreeMap<String, Region> {
    &REGIONS
}

/// The zones of a region: most have three in the sandbox, small ones two.
pub(crate) fn zones(region: &str) -> Vec<String> {
    let letters: &[char] = match region {
        "cn-hangzhou" | "cn-beijing" => &['h', 'i', 'j'],
        "cn-shanghai" | "cn-shenzhen" => &['d', 'e', 'f'],
        "cn-qingdao" | "cn-zhangjiakou" | "cn-hongkong" => &['b', 'c'],
        "cn-huhehaote" | "cn-heyuan" | "cn-nanjing" | "cn-fuzhou" | "cn-wuhan-lr" => &['a', 'b'],
        _ => &['a', 'b', 'c'],
    };
    let dash = if region.starts_with("cn-") { "-" } else { "" };
    letters
        .iter()
        .map(|l| format!("{region}{dash}{l}"))
        .collect()
}

/// An instance type.
pub(crate) struct InstanceType {
    pub(crate) id: &'static str,
    pub(crate) cpus: u32,
    pub(crate) memory_gib: f64,
    pub(crate) architecture: &'static str,
}

const fn instance(id: &'static str, cpus: u32, memory_gib: f64) -> InstanceType {
    InstanceType {
        id,
        cpus,
        memory_gib,
        architecture: "X86",
    }
}

pub(crate) const INSTANCE_TYPES: &[InstanceType] = &[
    instance("ecs.n1.tiny", 1, 1.0),
    instance("ecs.n4.small", 1, 2.0),
    instance("ecs.t5-lc1m1.small", 1, 1.0),
    instance("ecs.t6-c1m1.large", 2, 2.0),
    instance("ecs.s6-c1m2.large", 2, 4.0),
    instance("ecs.e-c1m1.large", 2, 2.0),
    instance("ecs.e-c1m2.large", 2, 4.0),
    instance("ecs.u1-c1m2.large", 2, 4.0),
    instance("ecs.g5.large", 2, 8.0),
    instance("ecs.g6.large", 2, 8.0),
    instance("ecs.g7.large", 2, 8.0),
    instance("ecs.g7.xlarge", 4, 16.0),
    instance("ecs.g8i.large", 2, 8.0),
    instance("ecs.c6.large", 2, 4.0),
    instance("ecs.c7.large", 2, 4.0),
    InstanceType {
        id: "ecs.g8y.large",
        cpus: 2,
        memory_gib: 8.0,
        architecture: "ARM",
    },
];

impl InstanceType {
    /// How images boot on it: the oldest families know no UEFI, Arm nothing
    /// else.
    pub(crate) fn boot_modes(&self) -> &'static [&'static str] {
        let oldest = ["ecs.n1.", "ecs.n4.", "ecs.t5-"];
        match self.architecture {
            "ARM" => &["UEFI"],
            _ if oldest.iter().any(|family| self.id.starts_with(family)) => &["BIOS"],
            _ => &["BIOS", "UEFI"],
        }
    }
}

pub(crate) fn instance_type(id: &str) -> Option<&'static InstanceType> {
    INSTANCE_TYPES.iter().find(|kind| kind.id == id)
}

pub(crate) const DISK_CATEGORIES: &[&str] = &[
    "cloud_efficiency",
    "cloud_ssd",
    "cloud_essd",
    "cloud_auto",
    "cloud_essd_entry",
];

/// The account of Alibaba Cloud's own images.
const SYSTEM_ACCOUNT: &str = "1000000000000001";

struct PublicImage {
    id: &'static str,
    family: &'static str,
    platform: &'static str,
    os_name: &'static str,
    size: u64,
    created: &'static str,
    boot_mode: &'static str,
}

const PUBLIC_IMAGES: &[PublicImage] = &[
    PublicImage {
        id: "centos_7_03_64_20G_alibase_20170818.vhd",
        family: "acs:centos_7_3_x64",
        platform: "CentOS",
        os_name: "CentOS 7.3 64 bit",
        size: 20,
        created: "2017-08-18T08:00:00Z",
        boot_mode: "BIOS",
    },
    PublicImage {
        id: "centos_7_9_x64_20G_alibase_20240628.vhd",
        family: "acs:centos_7_9_x64",
        platform: "CentOS",
        os_name: "CentOS 7.9 64 bit",
        size: 20,
        created: "2024-07-02T03:00:00Z",
        boot_mode: "BIOS",
    },
    PublicImage {
        id: "aliyun_2_1903_x64_20G_alibase_20240628.vhd",
        family: "acs:alibaba_cloud_linux_2_1903_lts_x64",
        platform: "Aliyun",
        os_name: "Alibaba Cloud Linux 2.1903 LTS 64 bit",
        size: 20,
        created: "2024-07-02T03:10:00Z",
        boot_mode: "BIOS",
    },
    PublicImage {
        id: "aliyun_3_9_x64_20G_alibase_20231219.vhd",
        family: "acs:alibaba_cloud_linux_3_2104_lts_x64",
        platform: "Aliyun",
        os_name: "Alibaba Cloud Linux 3.2104 LTS 64 bit",
        size: 20,
        created: "2023-12-20T03:00:00Z",
        boot_mode: "UEFI-Preferred",
    },
    PublicImage {
        id: "aliyun_3_x64_20G_alibase_20240819.vhd",
        family: "acs:alibaba_cloud_linux_3_2104_lts_x64",
        platform: "Aliyun",
        os_name: "Alibaba Cloud Linux 3.2104 LTS 64 bit",
        size: 20,
        created: "2024-08-20T03:00:00Z",
        boot_mode: "UEFI-Preferred",
    },
    PublicImage {
        id: "aliyun_3_x64_20G_alibase_20251030.vhd",
        family: "acs:alibaba_cloud_linux_3_2104_lts_x64",
        platform: "Aliyun",
        os_name: "Alibaba Cloud Linux 3.2104 LTS 64 bit",
        size: 20,
        created: "2025-11-03T03:00:00Z",
        boot_mode: "UEFI-Preferred",
    },
    PublicImage {
        id: "ubuntu_22_04_x64_20G_alibase_20251013.vhd",
        family: "acs:ubuntu_22_04_x64",
        platform: "Ubuntu",
        os_name: "Ubuntu 22.04 64 bit",
        size: 20,
        created: "2025-10-15T03:00:00Z",
        boot_mode: "UEFI-Preferred",
    },
    PublicImage {
        id: "ubuntu_24_04_x64_20G_alibase_20251013.vhd",
        family: "acs:ubuntu_24_04_x64",
        platform: "Ubuntu",
        os_name: "Ubuntu 24.04 64 bit",
        size: 20,
        created: "2025-10-15T03:10:00Z",
        boot_mode: "UEFI-Preferred",
    },
    PublicImage {
        id: "debian_12_11_x64_20G_alibase_20250908.vhd",
        family: "acs:debian_12_11_x64",
        platform: "Debian",
        os_name: "Debian 12.11 64 bit",
        size: 20,
        created: "2025-09-10T03:00:00Z",
        boot_mode: "UEFI-Preferred",
    },
    PublicImage {
        id: "win2008r2_64_ent_sp1_zh-cn_40G_alibase_20181220.vhd",
        family: "",
        platform: "Windows Server 2008",
        os_name: "Windows Server 2008 R2 Enterprise Edition 64bit Chinese Edition",
        size: 40,
        created: "2018-12-24T03:00:00Z",
        boot_mode: "BIOS",
    },
    PublicImage {
        id: "win2022_21H2_x64_dtc_en-us_40G_alibase_20250917.vhd",
        family: "acs:windows_server_2022_dtc_en_us_x64",
        platform: "Windows Server 2022",
        os_name: "Windows Server 2022 Data Center Edition 64bit English Edition",
        size: 40,
        created: "2025-09-22T03:00:00Z",
        boot_mode: "BIOS",
    },
];

/// The public images of a region; they are the same everywhere.
pub(crate) fn public_images(region: &str) -> Vec<Image> {
    PUBLIC_IMAGES.iter().map(|i| i.image(region)).collect()
}

pub(crate) fn public_image(region: &str, id: &str) -> Option<Image> {
    let found = PUBLIC_IMAGES.iter().find(|image| image.id == id);
    found.map(|image| image.image(region))
}

impl PublicImage {
    fn image(&self, region: &str) -> Image {
        let windows = self.platform.starts_with("Windows");
        Image {
            common: Common {
                id: self.id.to_owned(),
                region: region.to_owned(),
                name: self.id.to_owned(),
                description: String::new(),
                resource_group: String::new(),
                tags: BTreeMap::new(),
                created: self
                    .created
                    .parse()
                    .expect("the times in the image table are valid"),
                seeded: true,
            },
            family: self.family.to_owned(),
            version: String::new(),
            owner_alias: "system",
            owner_id: SYSTEM_ACCOUNT.to_owned(),
            platform: self.platform.to_owned(),
            os_name: self.os_name.to_owned(),
            os_type: if windows { "windows" } else { "linux" }.to_owned(),
            architecture: "x86_64".to_owned(),
            boot_mode: self.boot_mode.to_owned(),
            imds_support: None,
            // Alibaba Cloud's images have had that user for some years.
            non_root_login: !windows && self.created >= "2022",
            size: self.size,
            mappings: vec![Mapping {
                snapshot: String::new(),
                device: "/dev/xvda".to_owned(),
                size: self.size,
                kind: "system",
                imported_from: None,
            }],
            status: ImageStatus::Available,
            transition: None,
            fails: false,
            is_copy: false,
            encrypted: false,
            shared_with: Default::default(),
            disk: None,
            detection: None,
            copied_from: None,
        }
    }
}
