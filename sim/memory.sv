// An AXI4 slave port of the simulated memory: latency, stalls, errors, and a watch on the protocol.
// The words are those of the `qnn_storage` that is called `storage` in a module around this one, so
// that several ports have one memory.
//
// Plusargs: words=COUNT and base=HEX address of the first byte of the storage, by default those of
// the parameters; latency=CYCLES from an accepted address to the first beat; rate=BYTES that each
// direction moves in a cycle (see sim/dram.py; the bus's width by default); seed=N and
// stall_{ar,r,aw,w,b}=0..255 (chance in 256 that the channel stands still in a cycle);
// error_read=HEX and error_write=HEX (byte that answers SLVERR).
// Addresses outside answer DECERR. Bursts are answered in the order of their addresses; with seed
// other than 0, bursts of different ids overtake one another.

module qnn_memory #(
  parameter DATA_BITS = 64,
  parameter ADDRESS_BITS = 64,
  parameter ID_BITS = 1,
  parameter [63:0] BASE = 0,
  parameter [31:0] WORDS = 0
) (
  input clk,
  input rst,
  input [ID_BITS-1:0] arid,
  input [ADDRESS_BITS-1:0] araddr,
  input [7:0] arlen,
  input [2:0] arsize,
  input [1:0] arburst,
  input arvalid,
  output reg arready,
  output reg [ID_BITS-1:0] rid,
  output reg [DATA_BITS-1:0] rdata,
  output reg [1:0] rresp,
  output reg rlast,
  output reg rvalid,
  input rready,
  input [ID_BITS-1:0] awid,
  input [ADDRESS_BITS-1:0] awaddr,
  input [7:0] awlen,
  input [2:0] awsize,
  input [1:0] awburst,
  input awvalid,
  output reg awready,
  input [DATA_BITS-1:0] wdata,
  input [DATA_BITS/8-1:0] wstrb,
  input wlast,
  input wvalid,
  output reg wready,
  output reg [ID_BITS-1:0] bid,
  output reg [1:0] bresp,
  output reg bvalid,
  input bready,
  output reg [31:0] violations  // of the protocol, by the master
);
  localparam BYTES = DATA_BITS / 8;
  localparam SIZE = $clog2(BYTES);
  localparam IDS = 1 << ID_BITS;
  localparam DEPTH = 16;  // bursts outstanding, per id for reads
  localparam [1:0] OKAY = 2'd0, SLVERR = 2'd2, DECERR = 2'd3;

  reg [63:0] base, error_read, error_write;
  reg [31:0] words, latency, rate, seed;
  reg [7:0] stall_ar, stall_r, stall_aw, stall_w, stall_b;
  integer got;

  initial begin
    words = WORDS; base = BASE; latency = 32; rate = BYTES; seed = 0;
    stall_ar = 0; stall_r = 0; stall_aw = 0; stall_w = 0; stall_b = 0;
    error_read = {64{1'b1}}; error_write = {64{1'b1}};
    got = $value$plusargs("words=%d", words);
    got = $value$plusargs("base=%h", base);
    got = $value$plusargs("latency=%d", latency);
    got = $value$plusargs("rate=%d", rate);
    got = $value$plusargs("seed=%d", seed);
    got = $value$plusargs("stall_ar=%d", stall_ar);
    got = $value$plusargs("stall_r=%d", stall_r);
    got = $value$plusargs("stall_aw=%d", stall_aw);
    got = $value$plusargs("stall_w=%d", stall_w);
    got = $value$plusargs("stall_b=%d", stall_b);
    got = $value$plusargs("error_read=%h", error_read);
    got = $value$plusargs("error_write=%h", error_write);
  end

  // Randomness of our own, so that every simulator draws the same.
  reg [63:0] random;
  function [63:0] next_random(input [63:0] value);
    begin
      next_random = value ^ (value << 13);
      next_random = next_random ^ (next_random >> 7);
      next_random = next_random ^ (next_random << 17);
    end
  endfunction

  // Open bursts. Counters run freely; an entry's place is its low bits.
  reg [63:0] read_address [0:IDS*DEPTH-1], read_due [0:IDS*DEPTH-1];
  reg [7:0] read_left [0:IDS*DEPTH-1];
  reg [3:0] read_head [0:IDS-1], read_tail [0:IDS-1];
  reg [63:0] write_address [0:DEPTH-1], write_start [0:DEPTH-1], answer_due [0:DEPTH-1];
  reg [7:0] write_left [0:DEPTH-1];
  reg [ID_BITS-1:0] write_id [0:DEPTH-1], answer_id [0:DEPTH-1];
  reg [1:0] answer [0:DEPTH-1];
  reg [3:0] write_head, write_tail, answer_head, answer_tail;

  // Bytes that each direction has moved ahead of its rate: a beat goes if a cycle makes up for them.
  reg [31:0] read_debt, write_debt;
  function [31:0] paid(input [31:0] debt);
    paid = debt > rate ? debt - rate : 0;
  endfunction
  wire [31:0] next_write_debt = wvalid && wready ? write_debt + BYTES - rate : paid(write_debt);

  reg [63:0] now;
  reg serving;  // a read burst has begun and keeps the channel to its end
  reg [ID_BITS-1:0] served;
  reg [1:0] write_response;
  integer i, slot, candidate, other, lane;
  reg [63:0] address, target;
  reg found;

  function outside(input [63:0] byte_address);
    outside = byte_address < base || byte_address >= base + words * BYTES;
  endfunction

  function holds(input [63:0] beat, input [63:0] byte_address);
    holds = beat <= byte_address && byte_address < beat + BYTES;
  endfunction

  task violation(input [8*64-1:0] what, input [63:0] where);
    begin
      violations <= violations + 1;
      $display("qnn_memory: cycle %0d: %0s at %h", now, what, where);
    end
  endtask

  task check_address(input [63:0] where, input [7:0] len, input [2:0] size, input [1:0] burst);
    begin
      if ((where & 64'd4095) + (len + 64'd1) * BYTES > 4096) violation("burst over 4 KiB", where);
      if (size != SIZE) violation("size is not the bus's", where);
      if (burst != 2'd1) violation("burst is not INCR", where);
      if (where % BYTES != 0) violation("address is not aligned", where);
    end
  endtask

  // What a channel held when it was not taken: it must hold it still.
  reg ar_waits, aw_waits, w_waits;
  reg [ADDRESS_BITS+ID_BITS+7:0] ar_held, aw_held;
  reg [DATA_BITS+BYTES:0] w_held;
  wire [ADDRESS_BITS+ID_BITS+7:0] ar_now = {araddr, arid, arlen};
  wire [ADDRESS_BITS+ID_BITS+7:0] aw_now = {awaddr, awid, awlen};
  wire [DATA_BITS+BYTES:0] w_now = {wdata, wstrb, wlast};
  always @(posedge clk) begin
    ar_waits <= !rst && arvalid && !arready;
    aw_waits <= !rst && awvalid && !awready;
    w_waits <= !rst && wvalid && !wready;
    ar_held <= ar_now;
    aw_held <= aw_now;
    w_held <= w_now;
    if (!rst && ar_waits && (!arvalid || ar_held != ar_now)) violation("AR changed", araddr);
    if (!rst && aw_waits && (!awvalid || aw_held != aw_now)) violation("AW changed", awaddr);
    if (!rst && w_waits && (!wvalid || w_held != w_now)) violation("W changed", 0);
  end

  always @(posedge clk) begin
    now <= rst ? 0 : now + 1;
    random <= rst ? {seed, 32'h9E3779B9} : next_random(random);
    if (rst) violations <= 0;
  end

  // Reads
  always @(posedge clk) begin
    if (rst) begin
      arready <= 0; rvalid <= 0; serving <= 0; served <= 0; read_debt <= 0;
      for (i = 0; i < IDS; i = i + 1) begin read_head[i] <= 0; read_tail[i] <= 0; end
    end else begin
      if (arvalid && arready) begin
        check_address(araddr, arlen, arsize, arburst);
        slot = arid * DEPTH + read_tail[arid];
        read_address[slot] <= araddr;
        read_left[slot] <= arlen;
        read_due[slot] <= now + latency - 1;
        read_tail[arid] <= read_tail[arid] + 1;
      end
      // Room for one more in every id, with the one that may be coming in now.
      found = random[7:0] >= stall_ar;
      for (i = 0; i < IDS; i = i + 1)
        if (((read_tail[i] - read_head[i]) & 4'd15) > DEPTH - 4) found = 0;
      arready <= found;

      read_debt <= paid(read_debt);
      if (!rvalid || rready) begin
        // A new burst: the oldest that is due, or the oldest of an id, from a random one on.
        candidate = served;
        found = serving;
        for (i = 0; i < IDS; i = i + 1)
          if (!serving && !(found && seed != 0)) begin
            other = (i + (seed ? random[15:8] : 0)) % IDS;
            if (read_head[other] != read_tail[other]
                && read_due[other * DEPTH + read_head[other]] <= now
                && !(found && read_due[candidate * DEPTH + read_head[candidate]]
                              < read_due[other * DEPTH + read_head[other]])) begin
              candidate = other;
              found = 1;
            end
          end
        rvalid <= 0;
        if (found && random[23:16] >= stall_r && read_debt < rate) begin
          read_debt <= read_debt + BYTES - rate;
          slot = candidate * DEPTH + read_head[candidate];
          address = read_address[slot];
          rvalid <= 1;
          rid <= candidate;
          rlast <= read_left[slot] == 0;
          rdata <= outside(address) ? {DATA_BITS{1'b1}} : storage.store[(address - base) / BYTES];
          rresp <= outside(address) ? DECERR : holds(address, error_read) ? SLVERR : OKAY;
          served <= candidate;
          serving <= read_left[slot] != 0;
          if (read_left[slot] == 0) read_head[candidate] <= read_head[candidate] + 1;
          read_address[slot] <= address + BYTES;
          read_left[slot] <= read_left[slot] - 1;
        end
      end
    end
  end

  // Writes: a beat is taken when its address has been.
  always @(posedge clk) begin
    if (rst) begin
      awready <= 0; wready <= 0; bvalid <= 0; write_response <= OKAY; write_debt <= 0;
      write_head <= 0; write_tail <= 0; answer_head <= 0; answer_tail <= 0;
    end else begin
      if (awvalid && awready) begin
        check_address(awaddr, awlen, awsize, awburst);
        write_address[write_tail] <= awaddr;
        write_left[write_tail] <= awlen;
        write_id[write_tail] <= awid;
        write_tail <= write_tail + 1;
      end
      awready <= random[31:24] >= stall_aw
                 && ((write_tail - write_head) & 4'd15) + ((answer_tail - answer_head) & 4'd15)
                    < DEPTH - 4;

      if (wvalid && wready) begin
        target = write_address[write_head];
        if (wlast != (write_left[write_head] == 0)) violation("WLAST at the wrong beat", target);
        for (lane = 0; lane < BYTES; lane = lane + 1)
          if (wstrb[lane] && !outside(target))
            storage.store[(target - base) / BYTES][8*lane +: 8] <= wdata[8*lane +: 8];
        write_address[write_head] <= target + BYTES;
        write_left[write_head] <= write_left[write_head] - 1;
        write_response <= outside(target) ? DECERR : holds(target, error_write) ? SLVERR
                          : write_response;
        if (write_left[write_head] == 0) begin
          answer[answer_tail] <= outside(target) ? DECERR
                                 : holds(target, error_write) ? SLVERR : write_response;
          answer_id[answer_tail] <= write_id[write_head];
          answer_due[answer_tail] <= now + latency - 1;
          answer_tail <= answer_tail + 1;
          write_head <= write_head + 1;
          write_response <= OKAY;
        end
      end
      // The burst that is open after this cycle must have its address.
      write_debt <= next_write_debt;
      wready <= random[39:32] >= stall_w && next_write_debt < rate
                && ((wvalid && wready && write_left[write_head] == 0)
                    ? ((write_head + 1) & 4'd15) != write_tail : write_head != write_tail);

      if (!bvalid || bready) begin
        bvalid <= 0;
        if (answer_head != answer_tail && answer_due[answer_head] <= now
            && random[47:40] >= stall_b) begin
          bvalid <= 1;
          bid <= answer_id[answer_head];
          bresp <= answer[answer_head];
          answer_head <= answer_head + 1;
        end
      end
    end
  end
endmodule
