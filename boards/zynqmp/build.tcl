# From sources to qnn.bit, qnn.hwh, qnn.xsa and reports: vivado -mode batch -source build.tcl
set here [file dirname [file normalize [info script]]]
source $here/project.tcl

proc finish {run} {
    wait_on_runs $run
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
        error "$run failed; see runme.log in the project's folder of that run"
    }
}

launch_runs synth_1 -jobs $jobs
finish synth_1
launch_runs impl_1 -to_step write_bitstream -jobs $jobs
finish impl_1

open_run impl_1
file mkdir $here/reports
report_timing_summary -delay_type min_max -max_paths 10 -file $here/reports/timing.rpt
report_utilization -file $here/reports/utilization.rpt
report_utilization -hierarchical -file $here/reports/utilization_by_block.rpt

# PYNQ loads a bitstream and a hardware description of the same name.
file copy -force $here/project/qnn.runs/impl_1/system_wrapper.bit $here/qnn.bit
set found [glob -nocomplain $here/project/qnn.*/sources_1/bd/system/hw_handoff/system.hwh]
if {[llength $found] == 0} {
    error "no system.hwh under $here/project; PYNQ cannot load the bitstream without it"
}
file copy -force [lindex $found 0] $here/qnn.hwh
write_hw_platform -fixed -include_bit -force $here/qnn.xsa

set period [get_property PERIOD [get_clocks clk_pl_0]]
if {$period > 1010.0 / $clock_mhz} {
    error "the clock's period is $period ns, longer than $clock_mhz MHz allow for"
}
set slack [get_property STATS.WNS [get_runs impl_1]]
if {$slack < 0} {
    error "timing is not met: $slack ns; see reports/timing.rpt, and compile with a lower --clock-mhz"
}
set hold [get_property STATS.WHS [get_runs impl_1]]
if {$hold < 0} {
    error "hold time is not met: $hold ns, which no lower clock helps; see reports/timing.rpt"
}
puts "qnn.bit, qnn.hwh and qnn.xsa are in $here; slack $slack ns at $period ns"
