// Accelerators with one memory, their clock and traces; cocotb drives the registers and waits.
//
// Plusargs, besides the memory's: trace=FILE, to which a dot and the core's number are added,
// dump=FILE and load=FILE, limit=CYCLES of a run, paths=COUNT of beats that the memory moves in a
// cycle, each way, over all cores.
// waves=FILE records all signals from cycle first=CYCLE to cycle last=CYCLE, which ends the run.

module qnn_testbench #(
  parameter BUS_BITS = 128,
  parameter FEATURE_BITS = 128,
  parameter EPILOGUE_WORDS = 1,
  parameter ADDRESS_BITS = 40,
  parameter ID_BITS = 1,
  parameter WORDS = 1024,
  parameter CORES = 1
) (
  input rst,
  input [CORES-1:0] running,  // cores that the bench is about to start; cleared after
  input [CORES-1:0] select,  // cores whose registers are accessed
  input dump,  // its rising edge writes words of the memory to a file ...
  input load,  // ... and this one's reads them from one, as storage.sv does
  input [31:0] first,  // of those words
  input [31:0] count,  // 0: all of the memory
  output wake,  // the run is over: interrupts of all that run, or a time-out
  output reg timed_out,
  output reg [31:0] violations,
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
  output reg [1:0] s_axi_bresp,
  output s_axi_bvalid,
  input s_axi_bready,
  input [11:0] s_axi_araddr,
  input [2:0] s_axi_arprot,
  input s_axi_arvalid,
  output s_axi_arready,
  output reg [31:0] s_axi_rdata,
  output reg [1:0] s_axi_rresp,
  output s_axi_rvalid,
  input s_axi_rready
);
  wire [CORES-1:0] irq;
  assign wake = timed_out || (|running && (irq & running) == running);

  initial clk = 0;
  always #1 clk = ~clk;

  // Registers: a write goes to all cores of `select`, which answer alike; a read names one.
  wire [CORES-1:0] awready, wready, bvalid, arready, rvalid;
  wire [31:0] rdata [0:CORES-1];
  wire [1:0] bresp [0:CORES-1], rresp [0:CORES-1];
  assign s_axi_awready = &(awready | ~select);
  assign s_axi_wready = &(wready | ~select);
  assign s_axi_bvalid = &(bvalid | ~select);
  assign s_axi_arready = &(arready | ~select);
  assign s_axi_rvalid = &(rvalid | ~select);
  integer i;
  always @* begin
    s_axi_bresp = 0; s_axi_rresp = 0; s_axi_rdata = 0;
    for (i = 0; i < CORES; i = i + 1)
      if (select[i]) begin
        s_axi_bresp = s_axi_bresp | bresp[i];
        s_axi_rresp = s_axi_rresp | rresp[i];
        s_axi_rdata = s_axi_rdata | rdata[i];
      end
  end

  // Memory: a port for each core, and the data paths that the ports share, each way.
  reg [31:0] paths;
  wire [CORES-1:0] read_ready, read_last, read_open, write_ready, write_last, write_open;
  wire [31:0] port_violations [0:CORES-1];
  qnn_storage #(.DATA_BITS(BUS_BITS), .WORDS(WORDS)) storage ();
  qnn_arbiter #(.PORTS(CORES)) reads (
    .clk(clk), .rst(rst), .paths(paths), .ready(read_ready), .last(read_last), .open(read_open)
  );
  qnn_arbiter #(.PORTS(CORES)) writes (
    .clk(clk), .rst(rst), .paths(paths), .ready(write_ready), .last(write_last), .open(write_open)
  );
  always @* begin
    violations = 0;
    for (i = 0; i < CORES; i = i + 1) violations = violations + port_violations[i];
  end

  genvar core;
  generate for (core = 0; core < CORES; core = core + 1) begin : cores
    wire [ID_BITS-1:0] m_arid, m_rid, m_awid, m_bid;
    wire [ADDRESS_BITS-1:0] m_araddr, m_awaddr;
    wire [7:0] m_arlen, m_awlen;
    wire [2:0] m_arsize, m_awsize;
    wire [1:0] m_arburst, m_awburst, m_rresp, m_bresp;
    wire [BUS_BITS-1:0] m_rdata, m_wdata;
    wire [BUS_BITS/8-1:0] m_wstrb;
    wire m_arvalid, m_arready, m_rlast, m_rvalid, m_rready, m_awvalid, m_awready, m_wlast;
    wire m_wvalid, m_wready, m_bvalid, m_bready;
    assign read_ready[core] = m_rvalid && m_rready;
    assign read_last[core] = m_rlast;
    assign write_ready[core] = m_wvalid && m_wready;
    assign write_last[core] = m_wlast;

    qnn_accelerator dut (
      .clk(clk), .rst(rst), .irq(irq[core]),
      .s_axi_awaddr(s_axi_awaddr), .s_axi_awprot(s_axi_awprot),
      .s_axi_awvalid(s_axi_awvalid && select[core]), .s_axi_awready(awready[core]),
      .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb),
      .s_axi_wvalid(s_axi_wvalid && select[core]), .s_axi_wready(wready[core]),
      .s_axi_bresp(bresp[core]), .s_axi_bvalid(bvalid[core]), .s_axi_bready(s_axi_bready),
      .s_axi_araddr(s_axi_araddr), .s_axi_arprot(s_axi_arprot),
      .s_axi_arvalid(s_axi_arvalid && select[core]), .s_axi_arready(arready[core]),
      .s_axi_rdata(rdata[core]), .s_axi_rresp(rresp[core]), .s_axi_rvalid(rvalid[core]),
      .s_axi_rready(s_axi_rready),
      .m_axi_arid(m_arid), .m_axi_araddr(m_araddr), .m_axi_arlen(m_arlen),
      .m_axi_arsize(m_arsize), .m_axi_arburst(m_arburst), .m_axi_arvalid(m_arvalid),
      .m_axi_arready(m_arready), .m_axi_rid(m_rid), .m_axi_rdata(m_rdata), .m_axi_rresp(m_rresp),
      .m_axi_rlast(m_rlast), .m_axi_rvalid(m_rvalid && read_open[core]), .m_axi_rready(m_rready),
      .m_axi_awid(m_awid), .m_axi_awaddr(m_awaddr), .m_axi_awlen(m_awlen),
      .m_axi_awsize(m_awsize), .m_axi_awburst(m_awburst), .m_axi_awvalid(m_awvalid),
      .m_axi_awready(m_awready), .m_axi_wdata(m_wdata), .m_axi_wstrb(m_wstrb),
      .m_axi_wlast(m_wlast), .m_axi_wvalid(m_wvalid), .m_axi_wready(m_wready && write_open[core]),
      .m_axi_bid(m_bid), .m_axi_bresp(m_bresp), .m_axi_bvalid(m_bvalid), .m_axi_bready(m_bready)
    );

    qnn_memory #(.DATA_BITS(BUS_BITS), .ADDRESS_BITS(ADDRESS_BITS), .ID_BITS(ID_BITS)) port (
      .clk(clk), .rst(rst), .arid(m_arid), .araddr(m_araddr), .arlen(m_arlen), .arsize(m_arsize),
      .arburst(m_arburst), .arvalid(m_arvalid), .arready(m_arready), .rid(m_rid), .rdata(m_rdata),
      .rresp(m_rresp), .rlast(m_rlast), .rvalid(m_rvalid), .rready(m_rready && read_open[core]),
      .awid(m_awid), .awaddr(m_awaddr), .awlen(m_awlen), .awsize(m_awsize), .awburst(m_awburst),
      .awvalid(m_awvalid), .awready(m_awready), .wdata(m_wdata), .wstrb(m_wstrb), .wlast(m_wlast),
      .wvalid(m_wvalid && write_open[core]), .wready(m_wready), .bid(m_bid), .bresp(m_bresp),
      .bvalid(m_bvalid), .bready(m_bready), .violations(port_violations[core])
    );

    qnn_trace #(
      .CORE(core), .FEATURE_BITS(FEATURE_BITS), .EPILOGUE_WORDS(EPILOGUE_WORDS),
      .ADDRESS_BITS(ADDRESS_BITS)
    ) trace (
      .clk(clk), .cycle(cycle), .running(running[core]), .irq(irq[core]), .timed_out(timed_out),
      .issue(dut.compute.issue), .issue_tag(dut.compute.issue_tag),
      .write_valid(dut.compute.write_valid), .write_tag(dut.compute.write_tag),
      .write_address(dut.compute.write_address), .write_part(dut.compute.write_part),
      .write_all(dut.compute.write_all), .write_pass(dut.compute.write_pass),
      .write_data(dut.compute.write_data),
      .store(m_awvalid && m_awready), .store_address(m_awaddr), .store_length(m_awlen),
      .load(m_arvalid && m_arready), .load_id(m_arid), .load_address(m_araddr),
      .loaded(m_rvalid && read_open[core] && m_rready), .loaded_id(m_rid),
      .loaded_last(m_rlast), .loaded_error(m_rresp[1]),
      .stored(m_bvalid && m_bready), .stored_error(m_bresp[1]),
      .busy(dut.shell.control.busy), .clear(dut.shell.control.clear),
      .offered({dut.shell.gates.store_i__valid, dut.shell.gates.compute_i__valid,
                dut.shell.gates.load_i__valid}),
      .passed({dut.shell.gates.store_o__valid, dut.shell.gates.compute_o__valid,
               dut.shell.gates.load_o__valid}),
      .taken({dut.shell.gates.store_o__ready, dut.shell.gates.compute_o__ready,
              dut.shell.gates.load_o__ready}),
      .finished({dut.shell.gates.finished__2, dut.shell.gates.finished__1,
                 dut.shell.gates.finished__0}),
      .signals({dut.shell.gates.signals__2, dut.shell.gates.signals__1,
                dut.shell.gates.signals__0})
    );
  end endgenerate

  reg [63:0] limit, spent, first_recorded, last_recorded;
  reg [8*256-1:0] target, source, waves;
  integer got;
  initial begin
    limit = 64'd1000000000; timed_out = 0; target = 0; source = 0; paths = 1;
    got = $value$plusargs("limit=%d", limit);
    got = $value$plusargs("dump=%s", target);
    got = $value$plusargs("load=%s", source);
    got = $value$plusargs("paths=%d", paths);
    waves = 0; first_recorded = 0; last_recorded = {64{1'b1}};
    got = $value$plusargs("waves=%s", waves);
    got = $value$plusargs("first=%d", first_recorded);
    got = $value$plusargs("last=%d", last_recorded);
  end
  always @(posedge clk) begin
    cycle <= rst ? 0 : cycle + 1;
    spent <= |running ? spent + 1 : 0;
    timed_out <= |running && (timed_out || spent >= limit || cycle >= last_recorded);
    // In a simulator that was built without waves this does nothing.
    if (waves != 0 && !rst && cycle == first_recorded) begin
      $dumpfile(waves);
      $dumpvars(0, qnn_testbench);
    end
  end
  always @(posedge dump) storage.dump(target, first, count);
  always @(posedge load) storage.load(source, first, count);
endmodule
