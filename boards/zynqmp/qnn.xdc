# The clock's constraint comes with the processing system's own constraints, from the frequency that
# settings.tcl asks of it; build.tcl reads it back. No pin of the programmable logic is used.
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
