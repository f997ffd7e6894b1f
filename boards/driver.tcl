# Run a script in an interpreter that can touch nothing: what is not Tcl's own goes to `answer`,
# which gives a list: ok VALUE, error TEXT, or script NAME TEXT.
set child [interp create -safe]
interp limit $child time -seconds [expr {[clock seconds] + 10}]
foreach name {unknown file puts} {
    interp alias $child $name {} ask {*}[expr {$name eq "unknown" ? {} : $name}]
}
set failure {}

proc ask args {
    lassign [answer {*}$args] kind value text
    if {$kind eq "script"} {
        return [run $value $text]
    }
    return -code [expr {$kind eq "ok" ? "ok" : "error"}] $value
}

# Evaluate TEXT as the file NAME; the first failure is remembered with its line.
proc run {name text} {
    global child failure
    set before [interp eval $child {info script}]
    interp eval $child [list info script $name]
    set code [interp eval $child [list catch $text qnn_value qnn_options]]
    set value [interp eval $child {set qnn_value}]
    if {$code == 1} {
        if {[llength $failure] == 0} {
            set line [dict get [interp eval $child {set qnn_options}] -errorline]
            set failure [list $name $line $value]
        }
        return -code error $value
    }
    interp eval $child [list info script $before]
    return $value
}

# Source the file FIRST; afterwards answer "" gets where that failed, or nothing.
proc start {first} {
    global failure
    if {[catch {ask source $first} message] && [llength $failure] == 0} {
        set failure [list $first 0 $message]
    }
    answer {} {*}$failure
}
