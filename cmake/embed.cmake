# tally_embed(TARGET FILE SYMBOL): compiles FILE (of the source folder, or an absolute path) into TARGET as
#   extern const unsigned char SYMBOL[]; extern const unsigned long SYMBOL_bytes;  (a NUL follows, not counted)
function(tally_embed target file symbol)
  get_filename_component(source ${file} ABSOLUTE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${source} -DOUT=${out} -DSYMBOL=${symbol} -P ${PROJECT_SOURCE_DIR}/cmake/embed_file.cmake
    DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/embed_file.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
