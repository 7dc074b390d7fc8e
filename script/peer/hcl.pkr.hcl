# What both programs make of HCL2: the file that the machine ends with shows
# what every expression was.

variable "by" {
  type = string
}

variable "manifest" {
  type = string
}

variable "access_key" {
  default = env("ALICLOUD_ACCESS_KEY")
}

variable "secret_key" {
  default   = env("ALICLOUD_SECRET_KEY")
  sensitive = true
}

variable "disks" {
  type = list(object({ name = string, size = number }))
  default = [
    { name = "data1", size = 20 },
    { name = "data2", size = 30 },
  ]

  validation {
    condition     = length(var.disks) < 5
    error_message = "There are too many disks."
  }
}

locals {
  facts = {
    "sorted" = join(",", [for name, size in local.sizes : "${name}=${size}"])
    "third"  = 10 / 4
    "sum"    = 0.1 + 0.2
    "first"  = var.disks[0].name
    "names"  = join("+", var.disks[*].name)
    "upper"  = upper(format("%s-%03d", "a", 7))
    "choice" = length(var.disks) > 1 ? "many" : "one"
    "text"   = trimspace(local.text)
  }

  sizes = { for disk in var.disks : disk.name => disk.size }

  text = <<-EOT
      indented
    $${kept} %%{kept} \n
    %{ for disk in var.disks ~}
    ${disk.name}
    %{ endfor ~}
    %{ if true }yes%{ else }no%{ endif }
  EOT
}

source "alicloud-ecs" "hcl" {
  access_key                  = var.access_key
  secret_key                  = var.secret_key
  region                      = "cn-beijing"
  source_image                = "centos_7_03_64_20G_alibase_20170818.vhd"
  ssh_username                = "root"
  instance_type               = "ecs.t5-lc1m1.small"
  internet_charge_type        = "PayByTraffic"
  io_optimized                = true
  image_ignore_data_disks     = true
  wait_snapshot_ready_timeout = 1800

  system_disk_mapping {
    disk_category = "cloud_efficiency"
    disk_size     = "50"
  }

  dynamic "image_disk_mappings" {
    for_each = var.disks
    iterator = disk

    content {
      disk_name                 = disk.value.name
      disk_category             = "cloud_efficiency"
      disk_size                 = disk.value.size
      disk_delete_with_instance = true
    }
  }
}

build {
  source "alicloud-ecs.hcl" {
    name       = "local"
    image_name = "peer-hcl-${var.by}"
  }

  provisioner "shell" {
    inline = [
      <<EOT
cat > /etc/peer <<'FACTS'
%{ for name, fact in local.facts ~}
${name}: ${fact}
%{ endfor ~}
FACTS
EOT
    ]
  }

  provisioner "shell" {
    only   = ["alicloud-ecs.local"]
    inline = ["echo \"${source.name} ${source.type} {{build_name}} $PACKER_BUILD_NAME\" >> /etc/peer"]
  }

  provisioner "shell" {
    except = ["alicloud-ecs.local"]
    inline = ["echo never >> /etc/peer"]
  }

  provisioner "file" {
    direction   = "download"
    source      = "/etc/peer"
    destination = "${var.manifest}.peer"
  }

  post-processor "manifest" {
    output = var.manifest
    custom_data = {
      by = "both"
    }
  }
}
