# tally_embed(TARGET FILE SYMBOL [BEFORE...]): compiles FILE (of the source folder, or an absolute path) into TARGET, the files BEFORE
# it put before it in that order, as
#   extern const unsigned char SYMBOL[]; extern const unsigned long SYMBOL_bytes;  (a NUL follows, not counted)
function(tally_embed target file symbol)
  set(sources)
  foreach(each ${ARGN} ${file})
    get_filename_component(source ${each} ABSOLUTE)
    list(APPEND sources ${source})
  endforeach()
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} "-DIN=${sources}" -DOUT=${out} -DSYMBOL=${symbol} -P ${PROJECT_SOURCE_DIR}/cmake/embed_file.cmake
    DEPENDS ${sources} ${PROJECT_SOURCE_DIR}/cmake/embed_file.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()

# What each Lua script begins with that reads a head or a shard's pause.
set(TALLY_LUA_PRELUDE ${CMAKE_CURRENT_LIST_DIR}/../lib/lua/prelude.lua)
