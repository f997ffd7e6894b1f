# The Vivado project: qnn_accelerator beside the processing system. Sizes are in settings.tcl.
set here [file dirname [file normalize [info script]]]
source $here/settings.tcl

create_project -force -part $part qnn $here/project
set board [get_board_parts -quiet -latest_file_version $board_part]
if {[llength $board] == 0} {
    error "no board file fits $board_part; install that of the ZCU102 from Vivado's board store"
}
set_property board_part [lindex $board 0] [current_project]
foreach source $sources {
    add_files -norecurse [list $here/../$source]
}
add_files -fileset constrs_1 -norecurse [list $here/qnn.xdc]
update_compile_order -fileset sources_1

create_bd_design system

# The processing system: DDR4 and pins as on the board; one clock; a port for each core's memory.
create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e ps
apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e \
    -config {apply_board_preset "1"} [get_bd_cells ps]
set_property -dict [list \
    CONFIG.PSU__FPGA_PL0_ENABLE 1 \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL IOPLL \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz \
    CONFIG.PSU__HIGH_ADDRESS__ENABLE 1 \
    CONFIG.PSU__USE__IRQ0 1 \
    CONFIG.PSU__USE__M_AXI_GP0 1 \
    CONFIG.PSU__USE__M_AXI_GP1 0 \
    CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__MAXIGP0__DATA_WIDTH 32 \
] [get_bd_cells ps]
for {set core 0} {$core < $cores} {incr core} {
    set port [expr {$core + 2}] ;# HP0 to HP3 are GP2 to GP5 in the parameters
    set_property -dict [list \
        CONFIG.PSU__USE__S_AXI_GP$port 1 \
        CONFIG.PSU__SAXIGP${port}__DATA_WIDTH $bus_bits \
    ] [get_bd_cells ps]
}

create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect registers
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI $cores] [get_bd_cells registers]
create_bd_cell -type ip -vlnv xilinx.com:ip:xlconcat interrupts
set_property -dict [list CONFIG.NUM_PORTS $cores] [get_bd_cells interrupts]

# Clock and reset
set clock [get_bd_pins ps/pl_clk0]
connect_bd_net $clock [get_bd_pins ps/maxihpm0_fpd_aclk]
connect_bd_net $clock [get_bd_pins registers/aclk]
connect_bd_net $clock [get_bd_pins reset/slowest_sync_clk]
connect_bd_net [get_bd_pins ps/pl_resetn0] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/interconnect_aresetn] [get_bd_pins registers/aresetn]

# Registers of the cores, and their interrupts
connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_HPM0_FPD] [get_bd_intf_pins registers/S00_AXI]
connect_bd_net [get_bd_pins interrupts/dout] [get_bd_pins ps/pl_ps_irq0]

for {set core 0} {$core < $cores} {incr core} {
    create_bd_cell -type module -reference qnn_accelerator core_$core
    connect_bd_net $clock [get_bd_pins core_$core/clk]
    connect_bd_net [get_bd_pins reset/peripheral_reset] [get_bd_pins core_$core/rst]
    connect_bd_intf_net [get_bd_intf_pins [format registers/M%02d_AXI $core]] \
        [get_bd_intf_pins core_$core/s_axi]
    connect_bd_net [get_bd_pins core_$core/irq] [get_bd_pins interrupts/In$core]

    create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect memory_$core
    set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 1] [get_bd_cells memory_$core]
    connect_bd_net $clock [get_bd_pins memory_$core/aclk]
    connect_bd_net $clock [get_bd_pins ps/saxihp${core}_fpd_aclk]
    connect_bd_net [get_bd_pins reset/interconnect_aresetn] [get_bd_pins memory_$core/aresetn]
    connect_bd_intf_net [get_bd_intf_pins core_$core/m_axi] [get_bd_intf_pins memory_$core/S00_AXI]
    connect_bd_intf_net [get_bd_intf_pins memory_$core/M00_AXI] \
        [get_bd_intf_pins ps/S_AXI_HP${core}_FPD]
}

# Addresses
for {set core 0} {$core < $cores} {incr core} {
    set offset [format 0x%08X [expr {$registers_base + $core * $registers_step}]]
    assign_bd_address -offset $offset -range $registers_bytes \
        -target_address_space [get_bd_addr_spaces ps/Data] [get_bd_addr_segs core_$core/s_axi/reg0]

    set space [get_bd_addr_spaces core_$core/m_axi]
    set side ps/SAXIGP[expr {$core + 2}]/HP$core
    assign_bd_address -offset $ddr_low_base -range $ddr_low_bytes \
        -target_address_space $space [get_bd_addr_segs ${side}_DDR_LOW]
    assign_bd_address -offset $ddr_high_base -range $ddr_high_bytes \
        -target_address_space $space [get_bd_addr_segs ${side}_DDR_HIGH]
    foreach other {LPS_OCM QSPI PCIE_LOW PCIE_HIGH1 PCIE_HIGH2} {
        set segment [get_bd_addr_segs -quiet ${side}_$other]
        if {[llength $segment] > 0} {
            exclude_bd_addr_seg -target_address_space $space $segment
        }
    }
}

validate_bd_design
save_bd_design

set wrapper [make_wrapper -top -files [get_files system.bd]]
add_files -norecurse [list $wrapper]
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1
