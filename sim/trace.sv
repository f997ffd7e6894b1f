// Writes what happens in one core to its trace file.
//
// Lines: `S cycle` at the start of a run, `I cycle tag` when an instruction's first step issues,
// `W cycle tag address part all pass hexdata` for each word of the epilogue, `A cycle address
// beats` for each burst that is written to memory, `F cycle engine signals` when an engine ends
// an instruction and gives its tokens, `C load load compute compute store store run`
// with the cycles in which each engine worked and waited for a token, and those of the run, `E code
// address` of the first burst that was answered with an error (1 a read, 2 a write), `D cycle` at
// the end of a run, `T cycle` when the limit ends it. Cycles count from reset.
module qnn_trace #(
  parameter CORE = 0,
  parameter FEATURE_BITS = 128,
  parameter EPILOGUE_WORDS = 1,
  parameter ADDRESS_BITS = 40
) (
  input clk,
  input [63:0] cycle,
  input running,
  input irq,
  input timed_out,
  input issue,
  input [15:0] issue_tag,
  input [EPILOGUE_WORDS-1:0] write_valid,
  input [15:0] write_tag,
  input [20*EPILOGUE_WORDS-1:0] write_address,
  input [5:0] write_part,
  input write_all,
  input [3:0] write_pass,
  input [FEATURE_BITS*EPILOGUE_WORDS-1:0] write_data,
  input store,  // a burst's address was taken
  input [ADDRESS_BITS-1:0] store_address,
  input [7:0] store_length,
  input load,  // likewise of a read, and its beats and answers
  input load_id,
  input [ADDRESS_BITS-1:0] load_address,
  input loaded,
  input loaded_id,
  input loaded_last,
  input loaded_error,
  input stored,
  input stored_error,
  input busy,  // from START to DONE
  input clear,
  // By engine: load, compute, store.
  input [2:0] offered,  // an instruction stands before its tokens
  input [2:0] passed,  // ... and has them
  input [2:0] taken,  // the engine takes it, if so
  input [2:0] finished,
  input [8:0] signals  // to whom each then gives tokens, three bits an engine
);
  reg [8*256-1:0] file, named;
  integer handle;
  reg irq_before, timed_out_before, running_before;
  initial begin
    handle = 0; irq_before = 0; timed_out_before = 0; running_before = 0;
    if ($value$plusargs("trace=%s", file)) begin
      $sformat(named, "%0s.%0d", file, CORE);
      handle = $fopen(named, "w");
    end
  end
  // What the accelerator counts, counted from the traffic of instructions: those that an engine has
  // taken and not finished make it busy, and one that is offered and not passed waits for a token.
  reg [63:0] worked [0:2], waited [0:2], spent;
  reg [7:0] open [0:2];
  reg busy_before;
  integer e;
  initial begin busy_before = 0; spent = 0; end
  always @(posedge clk) begin
    busy_before <= busy;
    if (busy) spent <= (busy_before ? spent : 0) + 1;
    for (e = 0; e < 3; e = e + 1) begin
      open[e] <= clear ? 0 : open[e] + (passed[e] && taken[e]) - finished[e];
      if (busy) begin
        worked[e] <= (busy_before ? worked[e] : 0) + (open[e] != 0);
        waited[e] <= (busy_before ? waited[e] : 0) + (offered[e] && !passed[e]);
      end
    end
  end

  // The first burst that was answered with an error: answers come in the order of the addresses,
  // of reads for each id.
  reg [ADDRESS_BITS-1:0] asked [0:1][0:63], sent [0:63], wrong_at;
  reg [5:0] asked_in [0:1], asked_out [0:1], sent_in, sent_out;
  reg [1:0] wrong;
  initial wrong = 0;
  always @(posedge clk) begin
    if (clear || !busy) begin
      if (clear) wrong <= 0;
      asked_in[0] <= 0; asked_in[1] <= 0; asked_out[0] <= 0; asked_out[1] <= 0;
      sent_in <= 0; sent_out <= 0;
    end else begin
      if (load) begin
        asked[load_id][asked_in[load_id]] <= load_address;
        asked_in[load_id] <= asked_in[load_id] + 1;
      end
      if (store) begin
        sent[sent_in] <= store_address;
        sent_in <= sent_in + 1;
      end
      if (loaded && loaded_last) asked_out[loaded_id] <= asked_out[loaded_id] + 1;
      if (stored) sent_out <= sent_out + 1;
      if (wrong == 0 && stored && stored_error) begin
        wrong <= 2; wrong_at <= sent[sent_out];
      end
      if (wrong == 0 && loaded && loaded_error) begin
        wrong <= 1; wrong_at <= asked[loaded_id][asked_out[loaded_id]];
      end
    end
  end

  always @(posedge clk) begin
    irq_before <= irq;
    timed_out_before <= timed_out;
    running_before <= running;
    if (handle != 0) begin
      if (busy && !busy_before) $fdisplay(handle, "S %0d", cycle);
      if (issue) $fdisplay(handle, "I %0d %0d", cycle, issue_tag);
      for (e = 0; e < EPILOGUE_WORDS; e = e + 1) if (write_valid[e])
        $fdisplay(handle, "W %0d %0d %0d %0d %0d %0d %h", cycle, write_tag,
                  write_address[20*e +: 20], write_part, write_all, write_pass,
                  write_data[FEATURE_BITS*e +: FEATURE_BITS]);
      if (store) $fdisplay(handle, "A %0d %0d %0d", cycle, store_address, store_length + 1);
      for (e = 0; e < 3; e = e + 1)
        if (busy && finished[e]) $fdisplay(handle, "F %0d %0d %0d", cycle, e, signals[3*e +: 3]);
      if (irq && !irq_before && running) begin
        if (wrong != 0) $fdisplay(handle, "E %0d %0d", wrong, wrong_at);
        $fdisplay(handle, "C %0d %0d %0d %0d %0d %0d %0d", worked[0], waited[0], worked[1],
                  waited[1], worked[2], waited[2], spent);
        $fdisplay(handle, "D %0d", cycle);
      end
      if (timed_out && !timed_out_before && running_before && !irq) begin
        $fdisplay(handle, "T %0d", cycle);
        $fflush(handle);
      end
    end
  end
endmodule
