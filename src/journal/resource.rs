//! The kinds of temporary resources and the order they are deleted in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run may create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The temporary instance.
    Instance,
    /// An EIP bound to the instance, a temporary or the user's own one. Its id
    /// is `<allocation id>/<instance id>`.
    EipAssociation,
    /// A copy of the image, in the region of the copy.
    ImageCopy,
    /// The image itself.
    Image,
    /// The temporary EIP.
    Eip,
    /// The temporary key pair; its id is its name.
    KeyPair,
    /// The temporary security group.
    SecurityGroup,
    /// The temporary vSwitch.
    VSwitch,
    /// A snapshot of the system disk made for the image.
    Snapshot,
    /// The temporary VPC.
    Vpc,
    /// An image that ECS makes of an object.
    ImageImport,
    /// An object that is being uploaded in parts. Its id is
    /// `<bucket>/<key>?uploadId=<id>`.
    OssUpload,
    /// The object an image is imported from. Its id is `<bucket>/<key>`.
    OssObject,
    /// What names the object to those who have no journal, see
    /// [`super::marker`]. Its id is `<bucket>/<key>`.
    OssMarker,
    /// A bucket made for the object; its id is its name. It is only deleted
    /// when it is empty.
    OssBucket,
    /// Processes on this machine whose arguments hold the path of a pid file;
    /// that path is both name and id.
    LocalProcess,
    /// A directory on this machine; its path is both name and id.
    LocalDirectory,
}

impl Kind {
    /// Deletion order as data. Everything in one wave can be deleted at the
    /// same time; a wave begins when the one before is done. The instance is
    /// in the first one because it costs the most. Its network interface stays
    /// for a moment and holds the vSwitch and the security group; trying one
    /// of them is enough to see that it is gone. A marker outlives what is found
    /// with it, and the bucket outlives all that is in it.
    pub const WAVES: [&[Kind]; 4] = [
        &[
            Self::Instance,
            Self::EipAssociation,
            Self::ImageCopy,
            Self::Image,
            Self::ImageImport,
            Self::OssUpload,
            Self::OssObject,
            Self::LocalProcess,
        ],
        &[
            Self::LocalDirectory,
            Self::Eip,
            Self::KeyPair,
            Self::VSwitch,
            Self::Snapshot,
            Self::OssMarker,
        ],
        &[Self::SecurityGroup, Self::OssBucket],
        &[Self::Vpc],
    ];

    /// Whether it is on this machine, so that no cloud is asked about it.
    pub fn is_local(self) -> bool {
        matches!(self, Self::LocalProcess | Self::LocalDirectory)
    }

    /// The words for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::EipAssociation => "EIP association",
            Self::ImageCopy => "image copy",
            Self::Image => "image",
            Self::Eip => "EIP",
            Self::KeyPair => "key pair",
            Self::SecurityGroup => "security group",
            Self::VSwitch => "vSwitch",
            Self::Snapshot => "snapshot",
            Self::Vpc => "VPC",
            Self::ImageImport => "imported image",
            Self::OssUpload => "OSS upload",
            Self::OssObject => "OSS object",
            Self::OssMarker => "OSS marker",
            Self::OssBucket => "OSS bucket",
            Self::LocalProcess => "process",
            Self::LocalDirectory => "directory",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vpc_outlives_what_is_inside_it() {
        let wave = |kind| {
            Kind::WAVES
                .iter()
                .position(|wave| wave.contains(&kind))
                .unwrap()
        };
        for inside in [Kind::Instance, Kind::VSwitch, Kind::SecurityGroup] {
            assert!(wave(inside) < wave(Kind::Vpc));
        }
        assert!(wave(Kind::Instance) < wave(Kind::SecurityGroup));
        assert!(wave(Kind::EipAssociation) < wave(Kind::Eip));
        assert!(wave(Kind::Image) < wave(Kind::Snapshot));
        for inside in [Kind::OssUpload, Kind::OssObject] {
            assert!(wave(inside) < wave(Kind::OssMarker));
        }
        assert!(wave(Kind::OssMarker) < wave(Kind::OssBucket));
        assert!(wave(Kind::LocalProcess) < wave(Kind::LocalDirectory));
    }
}
