// The words of the simulated memory, which all of its ports read and write.
//
// Plusargs: memory=FILE (binary, each bus word's bytes reversed, as $fread takes them) and
// words=COUNT of that file.

module qnn_storage #(
  parameter DATA_BITS = 64,
  parameter WORDS = 1024
);
  localparam BYTES = DATA_BITS / 8;

  reg [DATA_BITS-1:0] store [0:WORDS-1];
  reg [31:0] words;
  reg [8*256-1:0] file;
  integer handle, got;

  initial begin
    words = 0; file = 0;
    got = $value$plusargs("words=%d", words);
    if ($value$plusargs("memory=%s", file)) begin
      handle = $fopen(file, "rb");
      got = $fread(store, handle, 0, words);
      $fclose(handle);
      if (got != words * BYTES) $display("qnn_storage: %0d of %0d bytes read", got, words * BYTES);
    end
  end

  task load(input [8*256-1:0] source, input [31:0] first, input [31:0] count);
    begin
      handle = $fopen(source, "rb");
      got = $fread(store, handle, first, count);
      $fclose(handle);
    end
  endtask

  task dump(input [8*256-1:0] target, input [31:0] first, input [31:0] count);
    $writememh(target, store, first, count == 0 ? words - 1 : first + count - 1);
  endtask
endmodule
