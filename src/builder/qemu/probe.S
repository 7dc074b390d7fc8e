# What `accelerator` runs to see whether an accelerator works: from real mode
# into long mode, through an exception, to the port that ends QEMU.
#
# as --32 probe.S -o probe.o
# ld -m elf_i386 -Ttext 0x7c00 --oformat binary probe.o -o probe.bin
.code16
.globl _start
_start:
 cli
 xor %ax,%ax
 mov %ax,%ds
 mov %ax,%es
 mov %ax,%ss
 mov $0x7c00,%sp
 cld
 mov $0x1000,%edi
 mov %edi,%cr3
 xor %eax,%eax
 mov $0x1000,%ecx
 rep stosl
 movw $0x2003,0x1000
 movw $0x3003,0x2000
 movw $0x0083,0x3000
 # IDT at 0x4000: entry 3 -> handler
 movw $handler,0x4030
 movw $8,0x4032
 movw $0x8e00,0x4034
 mov %cr4,%eax
 or $0x20,%al
 mov %eax,%cr4
 mov $0xC0000080,%ecx
 rdmsr
 or $0x1,%ah
 wrmsr
 mov %cr0,%eax
 or $0x80000001,%eax
 mov %eax,%cr0
 lgdtl gdtr
 lidtl idtr
 ljmp $8,$long
.code64
long:
 xor %eax,%eax
 mov %eax,%ss
 mov $0x7000,%esp
 int3
stop:
 hlt
 jmp stop
handler:
 mov $0x10,%al
 mov $0xf4,%dx
 out %al,%dx
 jmp stop
.balign 8
gdt:
 .quad 0
 .quad 0x00af9a000000ffff
gdtr:
 .word 15
 .long gdt
idtr:
 .word 0xfff
 .long 0x4000
.org 510
 .word 0xaa55
