# The template of `web.json`, in HCL2.

packer {
  required_version = ">= 1.7.0"

  required_plugins {
    alicloud = {
      source  = "github.com/hashicorp/alicloud"
      version = ">= 1.1.0"
    }
  }
}

variable "region" {
  type    = string
  default = "cn-beijing"
}

variable "app_version" {
  type    = string
  default = "1.0.0"

  validation {
    condition     = can(regex("^[0-9]+[.][0-9]+[.][0-9]+$", var.app_version))
    error_message = "The version must be three numbers, for example 1.0.0."
  }
}

source "alicloud-ecs" "web" {
  region               = var.region
  image_name           = "web-${var.app_version}-{{isotime \"20060102-150405\"}}"
  image_family         = "acs:alibaba_cloud_linux_3_2104_lts_x64"
  instance_type        = "ecs.g6.large"
  internet_charge_type = "PayByTraffic"
  ssh_username         = "root"

  tags = {
    app     = "web"
    version = var.app_version
  }
}

build {
  sources = ["source.alicloud-ecs.web"]

  provisioner "file" {
    content     = "<h1>web ${var.app_version}</h1>\n"
    destination = "/srv/index.html"
  }

  provisioner "shell" {
    environment_vars = ["APP_VERSION=${var.app_version}"]
    inline = [
      "echo \"building $APP_VERSION on $(uname -s)\"",
      "echo \"$APP_VERSION\" > /etc/web-version",
      "cat /srv/index.html /etc/web-version",
    ]
  }

  post-processor "manifest" {
    output = "web-manifest.json"
  }
}
