// SPDX-License-Identifier: Apache-2.0
//
// Runs the network of this build on its Verilog, as a host would, and compares what it writes.
//
// Needs no part of qnn, only a simulator: see run.sh. The sizes are in parameters.svh, the memory's
// content in image.hex and input.hex, the host's writes to registers in host.hex, and what the
// outputs must be in expected.hex, at the bits that are 1 in mask.hex. The last line is PASS, or
// FAIL with the reason. memory.sv has plusargs that change its latency, or stall its channels, such
// as +latency=100 or +seed=1 +stall_r=96.

`timescale 1ns / 1ps

module testbench;
  `include "parameters.svh"
  localparam BYTES = BUS_BITS / 8;

  reg clk, rst;
  wire irq;

  // AXI4-Lite, on which this module is the host.
  reg [11:0] awaddr, araddr;
  reg [31:0] wdata;
  reg awvalid, wvalid, bready, arvalid, rready;
  wire awready, wready, bvalid, arready, rvalid;
  wire [31:0] rdata;
  wire [1:0] bresp, rresp;

  // AXI4, on which the memory answers.
  wire [ID_BITS-1:0] m_arid, m_rid, m_awid, m_bid;
  wire [ADDRESS_BITS-1:0] m_araddr, m_awaddr;
  wire [7:0] m_arlen, m_awlen;
  wire [2:0] m_arsize, m_awsize;
  wire [1:0] m_arburst, m_awburst, m_rresp, m_bresp;
  wire [BUS_BITS-1:0] m_rdata, m_wdata;
  wire [BYTES-1:0] m_wstrb;
  wire m_arvalid, m_arready, m_rlast, m_rvalid, m_rready, m_awvalid, m_awready, m_wlast;
  wire m_wvalid, m_wready, m_bvalid, m_bready;
  wire [31:0] violations;

  qnn_accelerator dut (
    .clk(clk), .rst(rst), .irq(irq),
    .s_axi_awaddr(awaddr), .s_axi_awprot(3'd0), .s_axi_awvalid(awvalid), .s_axi_awready(awready),
    .s_axi_wdata(wdata), .s_axi_wstrb(4'hF), .s_axi_wvalid(wvalid), .s_axi_wready(wready),
    .s_axi_bresp(bresp), .s_axi_bvalid(bvalid), .s_axi_bready(bready),
    .s_axi_araddr(araddr), .s_axi_arprot(3'd0), .s_axi_arvalid(arvalid), .s_axi_arready(arready),
    .s_axi_rdata(rdata), .s_axi_rresp(rresp), .s_axi_rvalid(rvalid), .s_axi_rready(rready),
    .m_axi_arid(m_arid), .m_axi_araddr(m_araddr), .m_axi_arlen(m_arlen), .m_axi_arsize(m_arsize),
    .m_axi_arburst(m_arburst), .m_axi_arvalid(m_arvalid), .m_axi_arready(m_arready),
    .m_axi_rid(m_rid), .m_axi_rdata(m_rdata), .m_axi_rresp(m_rresp), .m_axi_rlast(m_rlast),
    .m_axi_rvalid(m_rvalid), .m_axi_rready(m_rready),
    .m_axi_awid(m_awid), .m_axi_awaddr(m_awaddr), .m_axi_awlen(m_awlen), .m_axi_awsize(m_awsize),
    .m_axi_awburst(m_awburst), .m_axi_awvalid(m_awvalid), .m_axi_awready(m_awready),
    .m_axi_wdata(m_wdata), .m_axi_wstrb(m_wstrb), .m_axi_wlast(m_wlast), .m_axi_wvalid(m_wvalid),
    .m_axi_wready(m_wready), .m_axi_bid(m_bid), .m_axi_bresp(m_bresp), .m_axi_bvalid(m_bvalid),
    .m_axi_bready(m_bready)
  );

  // The memory's words lie in `storage`, by this name.
  qnn_words #(.DATA_BITS(BUS_BITS), .WORDS(WORDS)) storage ();
  qnn_memory #(
    .DATA_BITS(BUS_BITS), .ADDRESS_BITS(ADDRESS_BITS), .ID_BITS(ID_BITS), .BASE(BASE), .WORDS(WORDS)
  ) memory (
    .clk(clk), .rst(rst), .arid(m_arid), .araddr(m_araddr), .arlen(m_arlen), .arsize(m_arsize),
    .arburst(m_arburst), .arvalid(m_arvalid), .arready(m_arready), .rid(m_rid), .rdata(m_rdata),
    .rresp(m_rresp), .rlast(m_rlast), .rvalid(m_rvalid), .rready(m_rready), .awid(m_awid),
    .awaddr(m_awaddr), .awlen(m_awlen), .awsize(m_awsize), .awburst(m_awburst),
    .awvalid(m_awvalid), .awready(m_awready), .wdata(m_wdata), .wstrb(m_wstrb), .wlast(m_wlast),
    .wvalid(m_wvalid), .wready(m_wready), .bid(m_bid), .bresp(m_bresp), .bvalid(m_bvalid),
    .bready(m_bready), .violations(violations)
  );

  initial clk = 0;
  always #5 clk = ~clk;
  reg [63:0] cycle;
  always @(posedge clk) cycle <= rst ? 64'd0 : cycle + 64'd1;

  reg [BUS_BITS-1:0] inputs [0:RUNS*INPUT_WORDS-1];
  reg [BUS_BITS-1:0] expected [0:RUNS*OUTPUT_WORDS-1];
  reg [BUS_BITS-1:0] mask [0:OUTPUT_WORDS-1];
  reg [BUS_BITS-1:0] at_start [0:WORDS-1];  // the memory at the start
  reg [47:0] host [0:RUNS*HOST_WRITES-1];  // a register's address and 32 bits for it
  reg [63:0] started, cycles, value;
  reg [31:0] number;  // of the run, which the host's last write gives and STATUS must tell
  reg failed, waves;
  integer run, i;

  initial begin
    // Not at time 0: pins that never change after it would not wake `always @*` in Icarus.
    #1 failed = 0; rst = 1;
    awaddr = 0; wdata = 0; awvalid = 0; wvalid = 0; bready = 0; araddr = 0; arvalid = 0; rready = 0;
    waves = $test$plusargs("waves") != 0;
    if (waves) begin
      $dumpfile("waves.fst");
      $dumpvars(0, testbench);
    end
    fill_memory;
    for (i = 0; i < 4; i = i + 1) @(negedge clk);
    rst = 0;

    read(REGISTER_MAGIC, 1, value);
    if (value[31:0] !== MAGIC) begin
      $display("FAIL: register MAGIC reads %h, expected %h", value[31:0], MAGIC);
      failed = 1;
    end
    read(REGISTER_FINGERPRINT, 2, value);
    if (!failed && value !== FINGERPRINT) begin
      $display("FAIL: the Verilog has fingerprint %h, expected %h", value, FINGERPRINT);
      failed = 1;
    end
    cycles = 0;
    for (run = 0; run < RUNS; run = run + 1) if (!failed) run_once;
    if (!failed) check_outputs;
    if (!failed) check_rest;
    if (!failed && violations != 0) begin
      $display("FAIL: %0d violations of AXI4, named above", violations);
      failed = 1;
    end
    if (!failed)
      $display("PASS: %0d words of output in %0d runs, %0d cycles", RUNS * OUTPUT_WORDS, RUNS,
               cycles);
    $finish;
  end

  reg [31:0] pattern;
  task fill_memory;
    begin
      // A pattern that differs from word to word, so that a write to another word shows.
      pattern = 0;
      for (i = 0; i < WORDS; i = i + 1) begin
        pattern = pattern + 32'h9E3779B9;
        storage.store[i] = {BUS_BITS/32{pattern}};
      end
      $readmemh("image.hex", storage.store, IMAGE_FIRST, IMAGE_FIRST + IMAGE_WORDS - 1);
      $readmemh("input.hex", inputs);
      $readmemh("expected.hex", expected);
      $readmemh("mask.hex", mask);
      $readmemh("host.hex", host);
      for (run = 0; run < RUNS; run = run + 1)
        for (i = 0; i < INPUT_WORDS; i = i + 1)
          storage.store[INPUT_FIRST + run * RUN_WORDS + i] = inputs[run * INPUT_WORDS + i];
      for (i = 0; i < WORDS; i = i + 1) at_start[i] = storage.store[i];
    end
  endtask

  task run_once;
    begin
      for (i = 0; i < HOST_WRITES; i = i + 1)
        write(host[run * HOST_WRITES + i][43:32], host[run * HOST_WRITES + i][31:0]);
      started = cycle;
      while (irq !== 1'b1 && cycle - started < LIMIT) @(negedge clk);
      if (irq !== 1'b1) begin
        $display("FAIL: run %0d: not done after %0d cycles", run, LIMIT);
        failed = 1;
      end else begin
        read(REGISTER_STATUS, 1, value);
        number = host[run * HOST_WRITES + HOST_WRITES - 1][31:0] >> RUN_OFFSET;
        if (value[31:0] >> RUN_OFFSET !== number) begin
          $display("FAIL: run %0d: register STATUS tells of run number %0d, expected %0d", run,
                   value[31:0] >> RUN_OFFSET, number);
          failed = 1;
        end
        if ((value[31:0] & (STATUS_DONE | STATUS_FAILED)) !== STATUS_DONE) begin
          $display("FAIL: run %0d: register STATUS reads %h, expected only DONE of DONE and FAILED",
                   run, value[31:0]);
          read(REGISTER_ERROR, 1, value);
          $display("FAIL: run %0d: register ERROR reads %h", run, value[31:0]);
          failed = 1;
        end
        read(REGISTER_CYCLES, 2, value);
        cycles = cycles + value;
      end
    end
  endtask

  integer wrong, first, where;
  task check_outputs;
    begin
      wrong = 0;
      for (i = RUNS * OUTPUT_WORDS - 1; i >= 0; i = i - 1) begin
        where = OUTPUT_FIRST + (i / OUTPUT_WORDS) * RUN_WORDS + i % OUTPUT_WORDS;
        if ((storage.store[where] & mask[i % OUTPUT_WORDS]) !== expected[i]) begin
          wrong = wrong + 1;
          first = i;
        end
      end
      if (wrong != 0) begin
        i = first;
        where = OUTPUT_FIRST + (i / OUTPUT_WORDS) * RUN_WORDS + i % OUTPUT_WORDS;
        $display("FAIL: %0d of %0d words differ; first: run %0d, word %0d of expected.hex: %s%h%s%h",
                 wrong, RUNS * OUTPUT_WORDS, i / OUTPUT_WORDS, i, "expected ", expected[i],
                 ", got ", storage.store[where] & mask[i % OUTPUT_WORDS]);
        failed = 1;
      end
    end
  endtask

  // Words that no run may write: all but the outputs and what the network keeps for itself.
  reg writable;
  task check_rest;
    begin
      for (i = 0; i < WORDS; i = i + 1) if (!failed) begin
        writable = i >= SCRATCH_FIRST && i < SCRATCH_FIRST + SCRATCH_WORDS;
        if (i >= OUTPUT_FIRST && (i - OUTPUT_FIRST) % RUN_WORDS < OUTPUT_WORDS) writable = 1;
        if (!writable && storage.store[i] !== at_start[i]) begin
          $display("FAIL: the word at address %h, which is no output, was written", BASE + i * BYTES);
          failed = 1;
        end
      end
    end
  endtask

  // Pins change at the falling edge, half a cycle away from where the accelerator samples them.
  reg took_aw, took_w, took_b, took_ar, took_r;
  integer patience;
  task write(input [11:0] address, input [31:0] data);
    begin
      @(negedge clk);
      awaddr = address; wdata = data; awvalid = 1; wvalid = 1; bready = 1;
      patience = 1000;
      while ((awvalid || wvalid || bready) && patience > 0) begin
        #1 took_aw = awvalid && awready; took_w = wvalid && wready; took_b = bready && bvalid;
        if (took_b && bresp != 0) patience = 1;
        @(negedge clk);
        if (took_aw) awvalid = 0;
        if (took_w) wvalid = 0;
        if (took_b) bready = 0;
        patience = patience - 1;
      end
      if (patience == 0 && !failed) begin
        $display("FAIL: the write of register %h was not taken", address);
        failed = 1;
      end
    end
  endtask

  integer word;
  task read(input [11:0] address, input integer count, output [63:0] got);
    begin
      got = 0;
      for (word = 0; word < count; word = word + 1) begin
        @(negedge clk);
        araddr = address + 4 * word; arvalid = 1; rready = 1;
        patience = 1000;
        while ((arvalid || rready) && patience > 0) begin
          #1 took_ar = arvalid && arready; took_r = rready && rvalid;
          if (took_r) got[32*word +: 32] = rdata;
          if (took_r && rresp != 0) patience = 1;
          @(negedge clk);
          if (took_ar) arvalid = 0;
          if (took_r) rready = 0;
          patience = patience - 1;
        end
        if (patience == 0 && !failed) begin
          $display("FAIL: the read of register %h was not answered", address);
          failed = 1;
        end
      end
    end
  endtask
endmodule


// The words of the memory; memory.sv is one port of them.
module qnn_words #(
  parameter DATA_BITS = 64,
  parameter WORDS = 1024
);
  reg [DATA_BITS-1:0] store [0:WORDS-1];
endmodule
