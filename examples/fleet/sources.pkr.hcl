source "alicloud-ecs" "node" {
  region               = var.region
  instance_type        = "ecs.g6.large"
  image_family         = "acs:alibaba_cloud_linux_3_2104_lts_x64"
  internet_charge_type = "PayByTraffic"
  ssh_username         = "root"
  tags                 = local.tags

  dynamic "image_disk_mappings" {
    for_each = var.data_disks
    iterator = disk

    content {
      disk_name     = disk.value.name
      disk_size     = disk.value.size
      disk_category = "cloud_essd"
    }
  }
}
