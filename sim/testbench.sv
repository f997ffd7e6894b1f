// The accelerator with its memory, its clock and a trace; cocotb drives the registers and waits.
//
// Plusargs, besides the memory's: trace=FILE, dump=FILE, limit=CYCLES of a run.
// Trace lines: `I cycle tag` when an instruction's first step issues, `W cycle tag address part
// all pass hexdata` for each write of the epilogue, `D cycle` at the end of a run,
// `T cycle` when `limit` ends it. Cycles count from reset.

module qnn_testbench #(
  parameter BUS_BITS = 128,
  parameter FEATURE_BITS = 128,
  parameter ADDRESS_BITS = 40,
  parameter ID_BITS = 1,
  parameter WORDS = 1024
) (
  input rst,
  input running,  // set by the bench just before it starts a run, cleared after
  input dump,  // its rising edge writes the memory to a file
  output wake,  // the run is over: interrupt or time-out
  output reg timed_out,
  output [31:0] violations,
  output reg [63:0] cycle,
  output reg clk,
  input [11:0] s_axi_awaddr,
  input [2:0] s_axi_awprot,
  input s_axi_awvalid,
  output s_axi_awready,
  input [31:0] s_axi_wdata,
  input [3:0] s_axi_wstrb,
  input s_axi_wvalid,
  output s_axi_wready,
  output [1:0] s_axi_bresp,
  output s_axi_bvalid,
  input s_axi_bready,
  input [11:0] s_axi_araddr,
  input [2:0] s_axi_arprot,
  input s_axi_arvalid,
  output s_axi_arready,
  output [31:0] s_axi_rdata,
  output [1:0] s_axi_rresp,
  output s_axi_rvalid,
  input s_axi_rready
);
  wire irq;
  assign wake = irq | timed_out;

  initial clk = 0;
  always #1 clk = ~clk;

  wire [ID_BITS-1:0] arid, rid, awid, bid;
  wire [ADDRESS_BITS-1:0] araddr, awaddr;
  wire [7:0] arlen, awlen;
  wire [2:0] arsize, awsize;
  wire [1:0] arburst, awburst, rresp, bresp;
  wire [BUS_BITS-1:0] rdata, wdata;
  wire [BUS_BITS/8-1:0] wstrb;
  wire arvalid, arready, rlast, rvalid, rready, awvalid, awready, wlast, wvalid, wready;
  wire bvalid, bready;

  qnn_accelerator dut (
    .clk(clk), .rst(rst), .irq(irq),
    .s_axi_awaddr(s_axi_awaddr), .s_axi_awprot(s_axi_awprot), .s_axi_awvalid(s_axi_awvalid),
    .s_axi_awready(s_axi_awready), .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb),
    .s_axi_wvalid(s_axi_wvalid), .s_axi_wready(s_axi_wready), .s_axi_bresp(s_axi_bresp),
    .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready), .s_axi_araddr(s_axi_araddr),
    .s_axi_arprot(s_axi_arprot), .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready),
    .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rvalid(s_axi_rvalid),
    .s_axi_rready(s_axi_rready),
    .m_axi_arid(arid), .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arsize(arsize),
    .m_axi_arburst(arburst), .m_axi_arvalid(arvalid), .m_axi_arready(arready),
    .m_axi_rid(rid), .m_axi_rdata(rdata), .m_axi_rresp(rresp), .m_axi_rlast(rlast),
    .m_axi_rvalid(rvalid), .m_axi_rready(rready),
    .m_axi_awid(awid), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen), .m_axi_awsize(awsize),
    .m_axi_awburst(awburst), .m_axi_awvalid(awvalid), .m_axi_awready(awready),
    .m_axi_wdata(wdata), .m_axi_wstrb(wstrb), .m_axi_wlast(wlast), .m_axi_wvalid(wvalid),
    .m_axi_wready(wready), .m_axi_bid(bid), .m_axi_bresp(bresp), .m_axi_bvalid(bvalid),
    .m_axi_bready(bready)
  );

  qnn_memory #(
    .DATA_BITS(BUS_BITS), .ADDRESS_BITS(ADDRESS_BITS), .ID_BITS(ID_BITS), .WORDS(WORDS)
  ) memory (
    .clk(clk), .rst(rst),
    .arid(arid), .araddr(araddr), .arlen(arlen), .arsize(arsize), .arburst(arburst),
    .arvalid(arvalid), .arready(arready), .rid(rid), .rdata(rdata), .rresp(rresp), .rlast(rlast),
    .rvalid(rvalid), .rready(rready),
    .awid(awid), .awaddr(awaddr), .awlen(awlen), .awsize(awsize), .awburst(awburst),
    .awvalid(awvalid), .awready(awready), .wdata(wdata), .wstrb(wstrb), .wlast(wlast),
    .wvalid(wvalid), .wready(wready), .bid(bid), .bresp(bresp), .bvalid(bvalid), .bready(bready),
    .violations(violations)
  );

  qnn_trace #(.FEATURE_BITS(FEATURE_BITS)) trace (
    .clk(clk), .cycle(cycle), .irq(irq), .timed_out(timed_out),
    .issue(dut.compute.issue), .issue_tag(dut.compute.issue_tag),
    .write_valid(dut.compute.write_valid), .write_tag(dut.compute.write_tag),
    .write_address(dut.compute.write_address), .write_part(dut.compute.write_part),
    .write_all(dut.compute.write_all), .write_pass(dut.compute.write_pass),
    .write_data(dut.compute.write_data)
  );

  reg [63:0] limit, spent;
  reg [8*256-1:0] target;
  integer got;
  initial begin
    limit = 64'd1000000000; timed_out = 0; target = 0;
    got = $value$plusargs("limit=%d", limit);
    got = $value$plusargs("dump=%s", target);
  end
  always @(posedge clk) begin
    cycle <= rst ? 0 : cycle + 1;
    spent <= running ? spent + 1 : 0;
    timed_out <= running && (timed_out || spent >= limit);
  end
  always @(posedge dump) memory.dump(target);
endmodule


// Writes what happens to the trace file.
module qnn_trace #(
  parameter FEATURE_BITS = 128
) (
  input clk,
  input [63:0] cycle,
  input irq,
  input timed_out,
  input issue,
  input [15:0] issue_tag,
  input write_valid,
  input [15:0] write_tag,
  input [19:0] write_address,
  input [5:0] write_part,
  input write_all,
  input [3:0] write_pass,
  input [FEATURE_BITS-1:0] write_data
);
  reg [8*256-1:0] file;
  integer handle;
  reg irq_before, timed_out_before;
  initial begin
    handle = 0; irq_before = 0; timed_out_before = 0;
    if ($value$plusargs("trace=%s", file)) handle = $fopen(file, "w");
  end
  always @(posedge clk) begin
    irq_before <= irq;
    timed_out_before <= timed_out;
    if (handle != 0) begin
      if (issue) $fdisplay(handle, "I %0d %0d", cycle, issue_tag);
      if (write_valid)
        $fdisplay(handle, "W %0d %0d %0d %0d %0d %0d %h", cycle, write_tag, write_address,
                  write_part, write_all, write_pass, write_data);
      if (irq && !irq_before) $fdisplay(handle, "D %0d", cycle);
      if (timed_out && !timed_out_before) begin
        $fdisplay(handle, "T %0d", cycle);
        $fflush(handle);
      end
    end
  end
endmodule
