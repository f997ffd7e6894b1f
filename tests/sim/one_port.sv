// One port of the simulated memory with its storage, as its bench drives it.

module one_port #(
  parameter DATA_BITS = 64,
  parameter ADDRESS_BITS = 64,
  parameter ID_BITS = 1,
  parameter WORDS = 1024
) (
  input clk,
  input rst,
  input [ID_BITS-1:0] arid,
  input [ADDRESS_BITS-1:0] araddr,
  input [7:0] arlen,
  input [2:0] arsize,
  input [1:0] arburst,
  input arvalid,
  output arready,
  output [ID_BITS-1:0] rid,
  output [DATA_BITS-1:0] rdata,
  output [1:0] rresp,
  output rlast,
  output rvalid,
  input rready,
  input [ID_BITS-1:0] awid,
  input [ADDRESS_BITS-1:0] awaddr,
  input [7:0] awlen,
  input [2:0] awsize,
  input [1:0] awburst,
  input awvalid,
  output awready,
  input [DATA_BITS-1:0] wdata,
  input [DATA_BITS/8-1:0] wstrb,
  input wlast,
  input wvalid,
  output wready,
  output [ID_BITS-1:0] bid,
  output [1:0] bresp,
  output bvalid,
  input bready,
  output [31:0] violations
);
  qnn_storage #(.DATA_BITS(DATA_BITS), .WORDS(WORDS)) storage ();
  qnn_memory #(.DATA_BITS(DATA_BITS), .ADDRESS_BITS(ADDRESS_BITS), .ID_BITS(ID_BITS)) port (.*);
endmodule
