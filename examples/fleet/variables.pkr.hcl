variable "region" {
  type        = string
  default     = "cn-beijing"
  description = "Where the images are made."
}

variable "release" {
  type        = string
  description = "What the images are named after."
}

variable "data_disks" {
  type = list(object({
    name = string
    size = number
  }))
  default = []
}

variable "registry_token" {
  type      = string
  default   = env("REGISTRY_TOKEN")
  sensitive = true
}

locals {
  tags = {
    release = var.release
    team    = "platform"
  }

  motd = <<-EOT
    Image ${var.release}
    ${join("\n", [for disk in var.data_disks : "Disk ${disk.name}: ${disk.size} GiB"])}
  EOT
}
