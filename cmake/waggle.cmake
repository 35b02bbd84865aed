# The few functions that every folder's CMakeLists.txt is written with.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON) # TRY is a statement expression
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

option(WAGGLE_FUZZERS "Build the libFuzzer targets (needs clang)" OFF)
if(WAGGLE_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()

find_program(WAGGLE_CCACHE ccache)
if(WAGGLE_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${WAGGLE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${WAGGLE_CCACHE})
endif()

find_program(WAGGLE_BPF_CLANG NAMES clang-19 REQUIRED)
find_program(WAGGLE_BPFTOOL NAMES bpftool PATHS /usr/sbin REQUIRED)

# Options of our own targets only, so that system headers stay quiet.
function(waggle_target_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    -Wno-sign-conversion -Werror -Wno-gnu-statement-expression-from-macro-expansion
    -Wno-unknown-warning-option)
  # g++ 12 sees overlapping copies in std::string's own code at -O2 (GCC bug 105329).
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-pedantic -Wno-restrict>)
endfunction()

# waggle_library(waggle_kube SOURCES src/a.cpp … LIBS public… PRIVATE_LIBS …)
# One target a folder; its include/ is all that others see.
function(waggle_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS;PRIVATE_LIBS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_include_directories(${name} PUBLIC include PRIVATE src)
    target_link_libraries(${name} PUBLIC ${ARG_LIBS} PRIVATE ${ARG_PRIVATE_LIBS})
    waggle_target_options(${name})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE include)
    target_link_libraries(${name} INTERFACE ${ARG_LIBS})
  endif()
endfunction()

# waggle_test(kube_test LABEL unit SOURCES a_test.cpp … LIBS waggle_kube)
# Tests run as "<label>.<Suite>.<Test>". Labels: unit bpf differential scenario golden live tidy slow.
function(waggle_test name)
  cmake_parse_arguments(ARG "SERIAL" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE WAGGLE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    WAGGLE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  waggle_target_options(${name})
  if(ARG_LABEL STREQUAL unit)
    if(NOT TARGET waggle_unit_tests)
      add_custom_target(waggle_unit_tests)
    endif()
    add_dependencies(waggle_unit_tests ${name})
  endif()
  gtest_discover_tests(${name} TEST_PREFIX "${ARG_LABEL}." DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL ${ARG_SERIAL})
endfunction()

# waggle_bpf_unit(from_container): compiles bpf/from_container.bpf.c to an object that
# waggle_bpf_skeleton links with the others.
function(waggle_bpf_unit name)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/bpf/${name}.bpf.c)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${WAGGLE_BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Wshadow
      -fno-stack-protector -fdebug-prefix-map=${PROJECT_SOURCE_DIR}=.
      -I${PROJECT_SOURCE_DIR}/datapath/abi/include -I${CMAKE_CURRENT_SOURCE_DIR}/bpf
      -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -MD -MF ${object}.d
      -c ${source} -o ${object}
    DEPENDS ${source} DEPFILE ${object}.d VERBATIM)
  set_property(DIRECTORY APPEND PROPERTY WAGGLE_BPF_UNITS ${object})
endfunction()

# Links the units into <name>.bpf.o (what ships) and makes <name>.skel.h from it.
function(waggle_bpf_skeleton name)
  get_property(units DIRECTORY PROPERTY WAGGLE_BPF_UNITS)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/skeleton/${name}.skel.h)
  add_custom_command(OUTPUT ${object} ${skeleton}
    COMMAND ${WAGGLE_BPFTOOL} gen object ${object} ${units}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/skeleton
    COMMAND ${WAGGLE_BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}
    DEPENDS ${units} VERBATIM)
  add_custom_target(${name}_skeleton_file DEPENDS ${skeleton})
  add_library(waggle_${name}_skeleton INTERFACE)
  add_dependencies(waggle_${name}_skeleton ${name}_skeleton_file)
  target_include_directories(waggle_${name}_skeleton SYSTEM INTERFACE
    ${CMAKE_CURRENT_BINARY_DIR}/skeleton)
  set_property(TARGET waggle_${name}_skeleton PROPERTY WAGGLE_BPF_OBJECT ${object})
endfunction()
